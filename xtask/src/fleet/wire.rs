//! A NATS client of a few lines: the raw protocol, so that nothing of ours stands between a check and the server.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    /// Messages that came while something else was waited for.
    kept: VecDeque<Message>,
    requests: u64,
}

/// How long one read waits before the deadline is looked at.
const READ_TIMEOUT: Duration = Duration::from_millis(20);
/// How long the server may take to greet and to confirm.
const PATIENCE: Duration = Duration::from_secs(2);

impl Wire {
    /// Connects to a server on this machine.
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("NATS does not answer")?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_nodelay(true)?;
        let mut wire = Self { stream, read: Vec::new(), kept: VecDeque::new(), requests: 0 };
        wire.write(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n")?;
        wire.flush()?;
        Ok(wire)
    }

    /// Listens on a subject.
    pub(crate) fn subscribe(&mut self, subject: &str) -> Result<()> {
        self.requests += 1;
        let line = format!("SUB {subject} {}\r\n", self.requests);
        self.write(line.as_bytes())?;
        self.flush()
    }

    /// Publishes and waits until the server has taken it.
    pub(crate) fn publish(&mut self, subject: &str, payload: &[u8]) -> Result<()> {
        self.send(subject, "", payload)?;
        self.flush()
    }

    /// Asks and waits for one answer.
    pub(crate) fn request(&mut self, subject: &str, payload: &[u8], patience: Duration) -> Result<Message> {
        let inbox = format!("_INBOX.xtask.{}.{}", std::process::id(), self.requests);
        self.subscribe(&inbox)?;
        self.send(subject, &inbox, payload)?;
        let end = Instant::now() + patience;
        while let Some(message) = self.next(end)? {
            if message.subject == inbox {
                return Ok(message);
            }
        }
        bail!("no answer on {subject} in {patience:?}")
    }

    /// Returns the next message, or `None` when there is none by then.
    pub(crate) fn next(&mut self, end: Instant) -> Result<Option<Message>> {
        if let Some(message) = self.kept.pop_front() {
            return Ok(Some(message));
        }
        loop {
            match self.parsed()? {
                Parsed::Message(message) => return Ok(Some(message)),
                Parsed::Other(_) => {}
                Parsed::More if Instant::now() >= end => return Ok(None),
                Parsed::More => self.fill()?,
            }
        }
    }

    fn send(&mut self, subject: &str, reply: &str, payload: &[u8]) -> Result<()> {
        let mut bytes = format!("PUB {subject} {reply} {}\r\n", payload.len()).into_bytes();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        self.write(&bytes)
    }

    /// Waits until the server has taken what was written.
    fn flush(&mut self) -> Result<()> {
        self.write(b"PING\r\n")?;
        let end = Instant::now() + PATIENCE;
        loop {
            match self.parsed()? {
                Parsed::Message(message) => self.kept.push_back(message),
                Parsed::Other(line) if line == "PONG" => return Ok(()),
                Parsed::Other(_) => {}
                Parsed::More if Instant::now() >= end => bail!("NATS does not confirm"),
                Parsed::More => self.fill()?,
            }
        }
    }

    /// Takes the first thing out of what was read.
    fn parsed(&mut self) -> Result<Parsed> {
        let (parsed, length) = parse(&self.read)?;
        self.read.drain(..length);
        if let Parsed::Other(line) = &parsed {
            match line.as_str() {
                "PING" => self.write(b"PONG\r\n")?,
                line if line.starts_with("-ERR") => bail!("NATS says {line}"),
                _ => {}
            }
        }
        Ok(parsed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("NATS is gone")
    }

    fn fill(&mut self) -> Result<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("NATS is gone"),
            Ok(length) => self.read.extend_from_slice(bytes.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context("NATS is gone"),
        }
        Ok(())
    }
}

enum Parsed {
    Message(Message),
    Other(String),
    More,
}

/// Reads the first thing in the bytes, and how long it is.
fn parse(bytes: &[u8]) -> Result<(Parsed, usize)> {
    let Some(length) = bytes.windows(2).position(|end| end == b"\r\n") else { return Ok((Parsed::More, 0)) };
    let line = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (subject, headers, size) = match words.as_slice() {
        ["MSG", subject, _, size] | ["MSG", subject, _, _, size] => (*subject, 0, size.parse::<usize>()?),
        ["HMSG", subject, _, headers, size] | ["HMSG", subject, _, _, headers, size] => {
            (*subject, headers.parse()?, size.parse()?)
        }
        _ => return Ok((Parsed::Other(line), length + 2)),
    };
    let end = length + 2 + size;
    if bytes.len() < end + 2 {
        return Ok((Parsed::More, 0));
    }
    let payload = bytes.get(length + 2 + headers..end).unwrap_or_default().to_vec();
    Ok((Parsed::Message(Message { subject: subject.to_owned(), payload }), end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_when_they_are_whole() {
        let bytes = b"PING\r\nMSG a.b 1 3\r\nxyz\r\nHMSG a 1 in 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
        let (Parsed::Other(line), length) = parse(bytes).unwrap() else { panic!() };
        assert_eq!(line, "PING");
        let rest = &bytes[length..];
        assert!(matches!(parse(&rest[..16]).unwrap(), (Parsed::More, 0)));
        let (Parsed::Message(message), length) = parse(rest).unwrap() else { panic!() };
        assert_eq!((message.subject.as_str(), message.payload.as_slice()), ("a.b", &b"xyz"[..]));
        let (Parsed::Message(message), _) = parse(&rest[length..]).unwrap() else { panic!() };
        assert_eq!(message.payload, b"hi");
    }
}
