//! One connection: handshake, serving, and the ways it ends.

mod counted;
mod framing;
mod sent;
mod unread;

use std::{pin::pin, sync::Arc, time::Duration};

use counted::Counted;
pub(crate) use counted::{Activity, Work};
use hyper::{rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
pub(crate) use sent::Sent;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{listener::Listener, service, settings::ConnectionLimits, watchdog::Watchdog};

/// What hyper buffers of a connection at most, unless heads may be longer. Its own default.
const BUFFER_BYTES: usize = 400 * 1024;
/// hyper refuses heads with an empty body; up to this many times our limit we read them, to say why.
const HEADER_HEADROOM: usize = 2;
/// How long an idle connection that was asked to end may take, unless a request begins on it.
const END_GRACE: Duration = Duration::from_secs(1);
/// Requests one HTTP/2 connection may have in flight.
const STREAMS_MAX: u32 = 128;

/// Runs HTTP/2 streams where the listener can wait for them.
#[derive(Clone)]
struct Streams(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Serves a connection until it ends.
pub(crate) async fn serve(listener: &Arc<Listener>, activity: &Arc<Activity>, stream: TcpStream) {
    let table = listener.table().load_full();
    let Some(limits) = table.limits else { return };
    let Some(tls) = &table.tls else { return drive(listener, activity, limits, stream).await };
    let handshake = timeout(limits.header_timeout, tls.accept(stream));
    let shaken = tokio::select! {
        biased;
        () = activity.asked_to_end() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => {
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                activity.set_http2();
            }
            drive(listener, activity, limits, stream).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake timed out"),
    }
}

async fn drive<I>(listener: &Arc<Listener>, activity: &Arc<Activity>, limits: ConnectionLimits, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Counted::new(io, Arc::clone(activity)));
    let builder = builder(listener, limits);
    let service = service_fn(|request| {
        let (listener, activity) = (Arc::clone(listener), Arc::clone(activity));
        async move { service::serve(&listener, &activity, limits.max_header_bytes, request).await }
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut watchdog = Watchdog::new(limits);

    // Serving. The token is a child, whose lock no other connection touches.
    let draining = {
        let drain = listener.drain().child_token();
        let mut drain = pin!(drain.cancelled());
        let mut tick = pin!(sleep(watchdog.tick()));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return log(ended),
                () = drain.as_mut() => break true,
                () = activity.asked_to_end() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        biased;
                        ended = connection.as_mut() => return log(ended),
                        () = sleep(END_GRACE) => {}
                    }
                    if !activity.is_busy() {
                        return;
                    }
                    break false;
                }
                () = tick.as_mut() => {
                    if expired(&mut watchdog, activity) {
                        break false;
                    }
                    tick.set(sleep(watchdog.tick()));
                }
            }
        }
    };

    // A client may just be writing on an idle HTTP/1.1 connection: its next answer says `Connection: close`. HTTP/2 has
    // a message for this.
    if draining && !activity.is_http2() {
        let mut grace = pin!(sleep(listener.grace()));
        tokio::select! {
            biased;
            ended = connection.as_mut() => return log(ended),
            () = listener.kill().cancelled() => return,
            () = activity.http2_seen() => {}
            () = grace.as_mut() => {}
        }
    }

    // What is in flight is answered; an answer the client does not read ends with the watchdog.
    connection.as_mut().graceful_shutdown();
    let mut ending = Watchdog::new(limits);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return log(ended),
            () = listener.kill().cancelled() => return,
            () = sleep(ending.tick()) => if expired(&mut ending, activity) { return },
        }
    }
}

/// Returns whether the connection should be closed now: it is idle, or an answer on it is not read, busy as others are.
fn expired(watchdog: &mut Watchdog, activity: &Activity) -> bool {
    watchdog.expired(activity.sample()) || (watchdog.turns() && activity.unread.turn())
}

fn builder(listener: &Listener, limits: ConnectionLimits) -> auto::Builder<Streams> {
    let header_bytes = limits.max_header_bytes.saturating_mul(HEADER_HEADROOM);
    let mut builder = auto::Builder::new(Streams(listener.streams().clone()));
    // The watchdog does what hyper's timer would, without an allocation for each request.
    builder
        .http1()
        .timer(TokioTimer::new())
        // Who has said all may say so. When the answer is written, the end that was read ends the connection.
        .half_close(true)
        .header_read_timeout(None::<Duration>)
        .max_buf_size(header_bytes.max(BUFFER_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX));
    builder
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection failed");
    }
}
