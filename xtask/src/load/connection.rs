//! One client: connect, ask, read the answer, ask again; reconnect when told to or when the connection breaks.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Outcome, Sample};

/// An answer that takes longer is counted as broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a broken connection, so that a server that is gone is not hammered.
const PAUSE: Duration = Duration::from_millis(20);
/// Largest answer the load's client reads.
const ANSWER_LEN_MAX: usize = 64 * 1024;

/// Asks until `stop`, and records what came of every request.
pub(super) async fn keep_asking(server: SocketAddr, request: &[u8], samples: &Mutex<Vec<Sample>>, stop: &AtomicBool) {
    let mut connection = None;
    while !stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let (outcome, keep) = match tokio::time::timeout(PATIENCE, ask(&mut connection, server, request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => (Outcome::Broken(format!("{error:#}")), false),
            Err(_) => (Outcome::Broken("no answer in 10 s".into()), false),
        };
        let broken = matches!(outcome, Outcome::Broken(_));
        let at = Instant::now();
        let latency_us = u32::try_from((at - begun).as_micros()).unwrap_or(u32::MAX);
        samples.lock().unwrap_or_else(PoisonError::into_inner).push(Sample { at, latency_us, outcome });
        if !keep {
            connection = None;
        }
        if broken {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Sends one request and reads its answer; tells whether the connection may be used again.
async fn ask(
    connection: &mut Option<(TcpStream, Vec<u8>)>,
    server: SocketAddr,
    request: &[u8],
) -> Result<(Outcome, bool)> {
    if connection.is_none() {
        let stream = TcpStream::connect(server).await.context("connect")?;
        stream.set_nodelay(true)?;
        *connection = Some((stream, Vec::with_capacity(4096)));
    }
    let Some((stream, buffer)) = connection else { bail!("no connection") };
    stream.write_all(request).await.context("write")?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await.context("read")? == 0 {
            bail!("closed after {} bytes of an answer", buffer.len());
        }
        if let Some(answer) = parse(buffer)? {
            return Ok(answer);
        }
        if buffer.len() > ANSWER_LEN_MAX {
            bail!("an answer of more than {ANSWER_LEN_MAX} bytes");
        }
    }
}

/// Reads an answer if it is complete.
fn parse(bytes: &[u8]) -> Result<Option<(Outcome, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).context("parse")? else { return Ok(None) };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = header("content-length").context("an answer without content-length")?.parse()?;
    let Some(body) = bytes.get(head..head + length) else { return Ok(None) };
    let keep = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let outcome = match response.code {
        Some(200) => counted(body)?,
        Some(status) => Outcome::Status(status, error_code(body)),
        None => bail!("an answer without a status"),
    };
    Ok(Some((outcome, keep)))
}

/// Reads the code of Wattle's `{"error": "draining", ...}`; empty in answers of others.
fn error_code(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }
    serde_json::from_slice(body).map(|refusal: Refusal| refusal.error).unwrap_or_default()
}

/// Reads the counter actor's `{"counter": 1, "version": 1}`.
fn counted(body: &[u8]) -> Result<Outcome> {
    #[derive(serde::Deserialize)]
    struct Counted {
        counter: u64,
        version: u8,
    }
    let Counted { counter, version } = serde_json::from_slice(body).context("a body that is not the counter's")?;
    Ok(Outcome::Counted { counter, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\nConnection: close\r\n\r\n{\"counter\": 7, \"version\": 2}";
        assert!(parse(&answer[..answer.len() - 1]).unwrap().is_none());
        let (outcome, keep) = parse(answer).unwrap().unwrap();
        assert_eq!(outcome, Outcome::Counted { counter: 7, version: 2 });
        assert!(!keep);
    }

    #[test]
    fn a_refusal_is_a_status_and_keeps_the_connection() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 21\r\n\r\n{\"error\": \"draining\"}";
        assert_eq!(parse(answer).unwrap().unwrap(), (Outcome::Status(503, "draining".into()), true));
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(parse(answer).unwrap().unwrap(), (Outcome::Status(404, String::new()), true));
    }
}
