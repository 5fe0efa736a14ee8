//! `Logging.WriteLog`.

use bytes::Bytes;
use serde::Deserialize;
use wattle_types::{ActorId, ProviderError};

use super::super::unknown_operation;
use crate::{LogEntry, LogLevel, Logging, codec};

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(default)]
    level: &'a str,
    #[serde(default)]
    text: String,
}

pub(in crate::dialect) fn handle<L: Logging>(
    log: &L,
    actor: &ActorId,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    if operation != "Logging.WriteLog" {
        return Err(unknown_operation("wasmcloud:builtin:logging", operation));
    }
    let Entry { level, text } = codec::decode(payload)?;
    log.log(actor, LogEntry { level: parse_level(level), text })?;
    Ok(Bytes::new())
}

/// A level nobody knows is no reason to lose the line.
fn parse_level(level: &str) -> LogLevel {
    let is = |names: &[&str]| names.iter().any(|name| level.eq_ignore_ascii_case(name));
    match () {
        () if is(&["error", "critical"]) => LogLevel::Error,
        () if is(&["warn", "warning"]) => LogLevel::Warn,
        () if is(&["debug"]) => LogLevel::Debug,
        () if is(&["trace"]) => LogLevel::Trace,
        () => LogLevel::Info,
    }
}
