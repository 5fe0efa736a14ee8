//! A constant load: connections that each ask, read the whole answer, and ask again.

use std::{
    cell::RefCell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

/// What one turn saw.
pub(crate) struct Load {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Latencies in microseconds.
    pub(crate) sorted_us: Vec<u32>,
    /// Answers other than 200.
    pub(crate) failed: usize,
}

#[derive(Default)]
struct Seen {
    latencies_us: Vec<u32>,
    failed: usize,
}

/// Loads a server for a while, from one thread.
pub(crate) fn run(server: SocketAddr, connections: usize, turn: Duration) -> Result<Load> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = RefCell::new(Seen::default());
    let begun = Instant::now();
    let until = begun + turn;
    let all = async {
        let clients = (0..connections).map(|_| keep_asking(server, &seen, until));
        futures::future::try_join_all(clients).await
    };
    LocalSet::new().block_on(&runtime, all)?;
    let elapsed = begun.elapsed().as_secs_f64();
    let Seen { mut latencies_us, failed } = seen.into_inner();
    latencies_us.sort_unstable();
    Ok(Load { rate: latencies_us.len() as f64 / elapsed, sorted_us: latencies_us, failed })
}

async fn keep_asking(server: SocketAddr, seen: &RefCell<Seen>, until: Instant) -> Result<()> {
    let request = format!("GET / HTTP/1.1\r\nhost: {server}\r\n\r\n");
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let begun = Instant::now();
        if begun >= until {
            return Ok(());
        }
        stream.write_all(request.as_bytes()).await?;
        buffer.clear();
        let status = loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed a connection");
            if let Some(status) = status(&buffer)? {
                break status;
            }
        };
        let mut seen = seen.borrow_mut();
        seen.latencies_us.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        seen.failed += usize::from(status != 200);
    }
}

/// Returns the status of an answer if it is complete.
fn status(bytes: &[u8]) -> Result<Option<u16>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = std::str::from_utf8(length.context("an answer without content-length")?.value)?.parse()?;
    Ok(response.code.filter(|_| bytes.len() >= head + length))
}
