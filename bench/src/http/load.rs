//! A closed loop: connections that each ask, read and check the whole answer, and ask again.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use super::Target;

/// Threads that ask, as many as wrk is usually given on two cores.
const THREADS: usize = 2;

/// What an answer's body must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// These bytes.
    Body(&'static [u8]),
    /// What the counter actor answers, of whatever sum.
    Counter,
}

/// What one turn saw.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Latencies in microseconds.
    pub(crate) sorted_us: Vec<u32>,
    /// The highest sum a counter answered.
    pub(crate) highest: u64,
}

impl Expect {
    /// Checks a body, and returns the sum in it if it has one.
    pub(crate) fn check(self, body: &[u8]) -> Result<u64> {
        match self {
            Self::Body(expected) => {
                ensure!(body == expected, "a wrong answer: {:?}", String::from_utf8_lossy(body));
                Ok(0)
            }
            Self::Counter => {
                let inner = body.strip_prefix(b"{\"counter\": ".as_slice());
                let digits = inner.and_then(|rest| rest.strip_suffix(b", \"version\": 1}\n"));
                let sum = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                sum.with_context(|| format!("a wrong answer: {:?}", String::from_utf8_lossy(body)))
            }
        }
    }
}

/// Loads a server for a while.
pub(crate) fn run(target: &Target, connections: usize, turn: Duration) -> Result<Load> {
    let begun = Instant::now();
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| one_thread(target, connections / THREADS, begun + turn))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("a client must not panic"));
        joined.collect::<Result<Vec<Load>>>()
    })?;
    let elapsed = begun.elapsed().as_secs_f64();
    let mut all = Load::default();
    for load in seen {
        all.sorted_us.extend(load.sorted_us);
        all.highest = all.highest.max(load.highest);
    }
    all.sorted_us.sort_unstable();
    all.rate = all.sorted_us.len() as f64 / elapsed;
    Ok(all)
}

fn one_thread(target: &Target, connections: usize, until: Instant) -> Result<Load> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = RefCell::new(Load::default());
    let clients = async {
        let clients = (0..connections).map(|_| keep_asking(target, &seen, until));
        futures::future::try_join_all(clients).await
    };
    LocalSet::new().block_on(&runtime, clients)?;
    Ok(seen.into_inner())
}

async fn keep_asking(target: &Target, seen: &RefCell<Load>, until: Instant) -> Result<()> {
    let request = request(target);
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let begun = Instant::now();
        if begun >= until {
            return Ok(());
        }
        stream.write_all(request.as_bytes()).await?;
        buffer.clear();
        let body = loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed a connection");
            if let Some(body) = body(&buffer)? {
                break body;
            }
        };
        let took = begun.elapsed();
        let sum = target.expect.check(body)?;
        let mut seen = seen.borrow_mut();
        seen.sorted_us.push(micros(took));
        seen.highest = seen.highest.max(sum);
    }
}

/// Returns what is sent each time.
pub(super) fn request(target: &Target) -> String {
    format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", target.path, target.address)
}

pub(super) fn micros(took: Duration) -> u32 {
    u32::try_from(took.as_micros()).unwrap_or(u32::MAX)
}

/// Returns the body of an answer if it is complete. Its status must be 200.
pub(super) fn body(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let rest = &bytes[head..];
    let body = match length {
        Some(length) => rest.get(..std::str::from_utf8(length.value)?.parse()?),
        None => only_chunk(rest),
    };
    match response.code {
        Some(200) | None => Ok(body),
        Some(code) => bail!("status {code}: {:?}", String::from_utf8_lossy(rest)),
    }
}

/// Returns the body of an answer in one chunk, once the last, empty one is there too.
fn only_chunk(bytes: &[u8]) -> Option<&[u8]> {
    bytes.ends_with(b"0\r\n\r\n").then_some(())?;
    let (_, start, size) = match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete((start, size))) => ((), start, usize::try_from(size).ok()?),
        _ => return None,
    };
    bytes.get(start..start + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_complete_or_not_there() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(body(whole).unwrap(), Some(&b"hello"[..]));
        assert_eq!(body(&whole[..whole.len() - 1]).unwrap(), None);
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(body(chunked).unwrap(), Some(&b"hello"[..]));
        assert_eq!(body(&chunked[..chunked.len() - 5]).unwrap(), None);
        assert!(body(b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn an_answer_that_differs_in_one_byte_is_wrong() {
        assert!(Expect::Body(b"hello").check(b"hello").is_ok());
        assert!(Expect::Body(b"hello").check(b"hellp").is_err());
        assert_eq!(Expect::Counter.check(b"{\"counter\": 41, \"version\": 1}\n").unwrap(), 41);
        assert!(Expect::Counter.check(b"{\"counter\": 41, \"version\": 2}\n").is_err());
    }
}
