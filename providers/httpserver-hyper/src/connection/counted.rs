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

use super::unread::Unread;
use crate::watchdog::Sample;

/// A connection's counters. They tell about each other nothing that needs an order.
#[derive(Debug)]
pub(crate) struct Activity {
    requests: AtomicU32,
    in_flight: AtomicU32,
    reads: AtomicU32,
    sent: AtomicU32,
    /// The answers that are being written.
    pub(super) unread: Unread,
    http2: AtomicBool,
    http2_seen: Notify,
}

impl Activity {
    /// Makes the counters of a new connection; `http2` if the handshake said so.
    pub(super) fn new(http2: bool) -> Self {
        Self {
            requests: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            sent: AtomicU32::new(0),
            unread: Unread::default(),
            http2: AtomicBool::new(http2),
            http2_seen: Notify::new(),
        }
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn request(&self, http2: bool) -> InFlight<'_> {
        if http2 && !self.http2.load(Ordering::Relaxed) {
            self.http2.store(true, Ordering::Relaxed);
            self.http2_seen.notify_one();
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
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

/// A request in flight.
pub(crate) struct InFlight<'a>(&'a Activity);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose successful reads are counted.
pub(super) struct Counted<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I> Counted<I> {
    pub(super) const fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io, activity }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.reads.fetch_add(1, Ordering::Relaxed);
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
