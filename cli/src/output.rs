//! Where results, progress and errors go: results to standard output, all else to standard error.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::json;

use crate::{
    error::CliError,
    table::{Layout, Table, one_line, printable},
};

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences, for people.
    Text,
    /// One JSON document, for programs.
    Json,
}

/// One of the program's output streams.
pub(crate) type Stream = Box<dyn Write + Send>;

/// The program's output.
pub(crate) struct Output {
    format: Format,
    colors: bool,
    layout: Layout,
    results: Mutex<Stream>,
    remarks: Mutex<Stream>,
}

impl Output {
    /// Makes the output; `colors` says whether standard error shows them.
    pub(crate) fn new(format: Format, results: Stream, remarks: Stream, colors: bool) -> Self {
        let layout = Layout::default();
        Self { format, colors, layout, results: Mutex::new(results), remarks: Mutex::new(remarks) }
    }

    /// Returns the same output with tables that look so.
    pub(crate) fn laid_out(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// Returns how tables look.
    pub(crate) const fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Writes the command's result: `value` as JSON, or what `text` makes of it for people.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => {
                let mut text = printable(&text(value));
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                self.bytes(text.as_bytes())
            }
        }
    }

    /// Writes a list: as JSON, or as a table, or `empty` if there is nothing in it.
    pub(crate) fn list<T: Serialize>(&self, items: &[T], table: Table<'_, T>, empty: &str) -> Result<(), CliError> {
        if items.is_empty() && !self.is_json() {
            self.remark(empty);
            return Ok(());
        }
        self.result(&items, |items| table.render(items, self.layout))
    }

    /// Writes one of a stream of results: a line of JSON, or a line of text.
    pub(crate) fn line<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        let line = match self.format {
            Format::Json => serde_json::to_string(value).map_err(|error| CliError::internal(error.to_string()))?,
            Format::Text => one_line(&self.layout.ids(&text(value))),
        };
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Writes one of a row of pictures of the same thing: in a terminal over the last one, else below it.
    pub(crate) fn frame(&self, text: &str, first: bool) -> Result<(), CliError> {
        let text = &printable(text);
        if !self.colors || !io::stdout().is_terminal() {
            let parted = if first { "" } else { "\n" };
            return self.bytes(format!("{parted}{text}").as_bytes());
        }
        // To the top, each line to its end, then what is left of a longer picture: nothing flickers.
        let begin = if first { "\u{1b}[2J\u{1b}[H" } else { "\u{1b}[H" };
        let lines: String = text.lines().map(|line| format!("{line}\u{1b}[K\n")).collect();
        self.bytes(format!("{begin}{lines}\u{1b}[J").as_bytes())
    }

    /// Writes bytes as they are to standard output.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stream = lock(&self.results);
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|error| write_error(&error))
    }

    /// Sends remarks, warnings and errors to another stream from now on.
    pub(crate) fn remark_to(&self, remarks: Stream) {
        *lock(&self.remarks) = remarks;
    }

    /// Tells people something that is not the result. Silent in JSON.
    pub(crate) fn remark(&self, text: &str) {
        if !self.is_json() {
            self.tell(&printable(text));
        }
    }

    /// Tells people that a step is done. Silent in JSON.
    pub(crate) fn step(&self, step: &str, detail: &str, elapsed_ms: u64) {
        if !self.is_json() {
            let (mark, detail) = (self.paint("32", "+"), printable(&self.layout.ids(detail)));
            self.tell(format!("{mark} {step:<10} {detail}  ({elapsed_ms} ms)").trim_end());
        }
    }

    /// Tells people of something they should know but need not act on at once.
    pub(crate) fn warn(&self, text: &str) {
        if !self.is_json() {
            self.tell(&format!("{} {}", self.paint("33", "warning:"), printable(text)));
        }
    }

    /// Tells why the command failed: people on standard error, programs as the one document on standard output.
    pub(crate) fn error(&self, error: &CliError) {
        if error.is_told {
            return;
        }
        if self.is_json() {
            let body = json!({ "error": { "code": error.code, "message": error.message, "hints": error.hints } });
            // If nobody reads that, the exit code still tells.
            let _unread = self.json(&body);
            return;
        }
        self.tell(&format!("{} {}", self.paint("31;1", "error:"), printable(&error.message)));
        for hint in &error.hints {
            self.tell(&format!("{} {}", self.paint("36", "hint:"), printable(hint)));
        }
    }

    fn json<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| CliError::internal(error.to_string()))?;
        self.bytes(format!("{text}\n").as_bytes())
    }

    fn tell(&self, text: &str) {
        // Standard error may be closed; remarks are not worth failing for.
        let _unread = lock(&self.remarks).write_all(format!("{text}\n").as_bytes());
    }

    /// Shows a text in a color, where there are colors.
    pub(crate) fn paint(&self, color: &str, text: &str) -> String {
        if self.colors { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_error(error: &io::Error) -> CliError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return CliError::broken_pipe();
    }
    CliError::internal(format!("cannot write the result: {error}"))
}
