//! What happens on a connection, counted without locks.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use super::{framing::Framing, unread::Unread};
use crate::watchdog::Sample;

/// A connection's counters. They tell about each other nothing that needs an order.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    requests: AtomicU32,
    in_flight: AtomicU32,
    reads: AtomicU32,
    sent: AtomicU32,
    /// The answers that are being written.
    pub(super) unread: Unread,
    http2: AtomicBool,
    http2_seen: Notify,
    /// The number of the first request whose body has no clear end; 0 if there is none.
    unclear: AtomicU32,
    ending: AtomicBool,
    end: Notify,
}

impl Activity {
    /// Notes that the handshake said HTTP/2.
    pub(super) fn set_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    /// Returns what was done on it so far.
    pub(crate) fn work(&self) -> Work {
        Work {
            requests: self.requests.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            is_busy: self.is_busy(),
        }
    }

    /// Returns whether a request is in flight or an answer on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0 || !self.unread.is_empty()
    }

    /// Asks the connection to end, if nothing begins on it in this moment.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.end.notify_one();
    }

    /// Returns whether the connection was asked to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Waits until the connection is asked to end.
    pub(super) async fn asked_to_end(&self) {
        self.end.notified().await;
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn request(&self, http2: bool) -> InFlight<'_> {
        if http2 && !self.http2.load(Ordering::Relaxed) {
            self.http2.store(true, Ordering::Relaxed);
            self.http2_seen.notify_one();
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { activity: self, is_unclear: !http2 && number == self.unclear.load(Ordering::Relaxed) }
    }

    /// Counts that a part of an answer's body was written.
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether this is an HTTP/2 connection, as far as is known.
    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Waits for the first HTTP/2 request.
    pub(super) async fn http2_seen(&self) {
        self.http2_seen.notified().await;
    }

    pub(super) fn sample(&self) -> Sample {
        Sample {
            requests: self.requests.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            http2: self.is_http2(),
        }
    }
}

/// What is done for a client, to be compared with what was done earlier; the counters wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    requests: u32,
    sent: u32,
    is_busy: bool,
}

impl Work {
    /// Returns whether a request is in flight or an answer on its way.
    pub(crate) const fn is_going_on(self) -> bool {
        self.is_busy
    }
}

/// A request in flight.
pub(crate) struct InFlight<'a> {
    activity: &'a Activity,
    /// Whether others may see another end of the request than we do.
    pub(crate) is_unclear: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose successful reads are counted, and looked at.
pub(super) struct Counted<I> {
    io: I,
    activity: Arc<Activity>,
    framing: Framing,
}

impl<I> Counted<I> {
    pub(super) fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io, activity, framing: Framing::default() }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            self.activity.reads.fetch_add(1, Ordering::Relaxed);
            if !self.activity.is_http2()
                && let Some(unclear) = self.framing.read(new)
            {
                self.activity.unclear.store(unclear, Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Counted<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
