//! A constant HTTP load: a fixed number of keep-alive connections, each with one request in flight, in one thread.
//!
//! Every request is accounted for: answered with a status, or broken with a reason. Nothing is retried, so what a
//! client without any patience would see is what is counted.

mod connection;
mod report;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use anyhow::{Context, Result};

pub(crate) use report::Summary;

/// What came of one request.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// When its answer was complete.
    pub(crate) at: Instant,
    /// From the first byte written to the last byte read.
    pub(crate) latency_us: u32,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 200 from the counter actor.
    Counted { counter: u64, version: u8 },
    /// Any other answer: its status, and the code of the error in its body.
    Status(u16, String),
    /// No answer: what broke.
    Broken(String),
}

/// A running load.
pub(crate) struct Load {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Load {
    /// Starts `connections` connections that send `request`, such as `POST /counter/a`, to `server` until stopped.
    pub(crate) fn start(server: SocketAddr, request: &str, connections: usize) -> Result<Self> {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let request = format!("{request} HTTP/1.1\r\nhost: {server}\r\ncontent-length: 0\r\n\r\n").into_bytes();
        let worker = (samples.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || run(server, &request, connections, &worker.0, &worker.1))
            .context("the load's thread does not start")?;
        Ok(Self { samples, stop, thread: Some(thread) })
    }

    /// Returns what came of the requests answered since the last call.
    pub(crate) fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets each connection finish its request, and returns the last samples.
    pub(crate) fn stop(mut self) -> Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the load's thread panicked"))??;
        }
        Ok(self.take())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn run(
    server: SocketAddr,
    request: &[u8],
    connections: usize,
    samples: &Mutex<Vec<Sample>>,
    stop: &AtomicBool,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clients = (0..connections).map(|_| connection::keep_asking(server, request, samples, stop));
        futures::future::join_all(clients).await;
    });
    Ok(())
}
