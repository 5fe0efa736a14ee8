//! What happened, as a hash over everything and as the last lines of text.

use std::{collections::VecDeque, fmt::Write as _};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::Message;

/// Lines kept.
const LINES_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Log {
    start: Instant,
    hash: Sha256,
    lines: VecDeque<String>,
}

impl Log {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, hash: Sha256::new(), lines: VecDeque::new() }
    }

    /// Adds what happened to `name`, with the message it concerns: all of it to the hash, its size to the text.
    pub(super) fn add(&mut self, now: Instant, name: &str, what: &str, message: Option<&Message>) {
        let mut line = format!("{:>8} {name} {what}", now.duration_since(self.start).as_millis());
        if let Some(message) = message {
            let reply = message.reply.as_deref().unwrap_or("-");
            // Writing to a string cannot fail.
            let _written = write!(line, " {} {reply} {}", message.subject, message.payload.len());
            for (name, value) in &message.headers {
                let _written = write!(line, " {name}={value:?}");
            }
            self.hash.update(&message.payload);
        }
        self.hash.update(&line);
        self.hash.update(b"\n");
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn hash(&self) -> String {
        HEXLOWER.encode(&self.hash.clone().finalize())
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}
