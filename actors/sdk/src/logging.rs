//! The contract `wasmcloud:builtin:logging`: log lines with a level.
//!
//! For plain lines, which need no claim, see [`crate::log`].

use crate::{Link, Result};

/// The contract's id, to be claimed when signing.
pub const CONTRACT: &str = "wasmcloud:builtin:logging";

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the actor's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Degraded, but working.
    Warn,
    /// A person must act.
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

crate::message! {
    struct LogEntry {
        level: String = "level",
        text: String = "text",
    }
}

/// Writes one line at `level`.
///
/// # Errors
/// When the contract is not claimed, in the host's words.
pub fn write(level: Level, text: impl Into<String>) -> Result {
    let entry = LogEntry { level: level.name().into(), text: text.into() };
    Link::new(CONTRACT, "default").call("Logging.WriteLog", entry)
}
