//! A guest's log lines: bounded, valid UTF-8, free of control characters.

use std::borrow::Cow;

use crate::{HostCalls, Limits};

/// Counts and cuts the log lines of one call.
#[derive(Default)]
pub(crate) struct GuestLog {
    lines: u32,
    /// The start of a line whose end was not written yet.
    open: Vec<u8>,
}

impl GuestLog {
    /// Takes whole lines.
    pub(crate) fn text(&mut self, text: &[u8], limits: &Limits, host: Option<&dyn HostCalls>) {
        // What comes later is never logged, so it is not looked through for lines either.
        let most = (limits.log_lines as usize).saturating_mul(limits.log_line_bytes.saturating_add(1));
        let seen = text.get(..most).unwrap_or(text);
        let is_cut = seen.len() < text.len();
        let text = seen.strip_suffix(b"\n").unwrap_or(seen);
        for line in text.split(|byte| *byte == b'\n') {
            if !self.line(line, limits, host) {
                return;
            }
        }
        // One endless line was logged as far as it goes; of several, some are missing.
        if is_cut && text.contains(&b'\n') {
            self.lines = limits.log_lines;
            self.line(b"", limits, host);
        }
    }

    /// Takes what a guest writes to a stream, in pieces of any size.
    pub(crate) fn stream(&mut self, piece: &[u8], limits: &Limits, host: Option<&dyn HostCalls>) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.keep(line, limits);
            let open = std::mem::take(&mut self.open);
            if !self.line(&open, limits, host) {
                return;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest, limits);
    }

    /// Logs a line whose end was never written. To be called when the guest is done.
    pub(crate) fn finish(&mut self, limits: &Limits, host: Option<&dyn HostCalls>) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.line(&open, limits, host);
        }
    }

    fn keep(&mut self, piece: &[u8], limits: &Limits) {
        // One byte more than a line may have, so that `line` sees that something is missing.
        let room = (limits.log_line_bytes + 1).saturating_sub(self.open.len());
        self.open.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// Returns whether more lines are wanted.
    fn line(&mut self, line: &[u8], limits: &Limits, host: Option<&dyn HostCalls>) -> bool {
        if self.lines >= limits.log_lines {
            if self.lines == limits.log_lines {
                self.lines += 1;
                log(host, "(further lines of this call are dropped)");
            }
            return false;
        }
        self.lines += 1;
        match line.get(..limits.log_line_bytes) {
            Some(start) if line.len() > start.len() => log(host, &format!("{}...", printable(start))),
            _ => log(host, &printable(line)),
        }
        true
    }
}

/// Hands a line to the host, or to our own log while the guest's starters run.
fn log(host: Option<&dyn HostCalls>, line: &str) {
    match host {
        Some(host) => host.log(line),
        None => tracing::debug!(target: "wattle::guest", "{line}"),
    }
}

/// Replaces what is not UTF-8 and what could move a terminal's cursor or forge a line.
fn printable(line: &[u8]) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let unsafe_in_logs = |c: char| c.is_control() && c != '\t';
    if text.contains(unsafe_in_logs) { Cow::Owned(text.replace(unsafe_in_logs, "\u{fffd}")) } else { text }
}

/// Puts a guest's words on one line and replaces what could move a terminal's cursor.
pub(crate) fn printable_words(text: &str) -> String {
    let on_a_line = |c: char| match c {
        '\n' => ' ',
        '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(on_a_line).collect()
}
