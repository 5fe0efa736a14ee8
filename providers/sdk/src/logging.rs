//! The logging contract.

use wattle_types::{ActorId, ProviderError};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// Degraded.
    Warn,
    /// Once for each change.
    Info,
    /// Once for each call.
    Debug,
    /// More than that.
    Trace,
}

/// A line an actor writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// How much it matters.
    pub level: LogLevel,
    /// The text, as long as the actor made it.
    pub text: String,
}

/// A log that actors write to.
pub trait Logging: Send + Sync + 'static {
    /// Writes one line of `actor`.
    ///
    /// # Errors
    /// Why it could not be written.
    fn log(&self, actor: &ActorId, entry: LogEntry) -> Result<(), ProviderError>;
}
