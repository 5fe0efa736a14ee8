//! What happened, as text and as a hash.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// Lines kept as text; the hash is over all.
const LINES_MAX: usize = 200_000;

#[derive(Debug)]
pub(crate) struct Log {
    start: Instant,
    hash: Sha256,
    lines: Vec<String>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), hash: Sha256::new(), lines: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: &str) {
        let line = format!("{:>8} {what}\n", self.start.elapsed().as_millis());
        self.hash.update(&line);
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }

    pub(crate) fn hash(&self) -> String {
        HEXLOWER.encode(&self.hash.clone().finalize())
    }

    pub(crate) fn text(&self) -> String {
        self.lines.concat()
    }
}
