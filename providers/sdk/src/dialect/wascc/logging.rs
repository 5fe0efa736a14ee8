//! `WriteLog`.

use bytes::Bytes;
use serde::Deserialize;
use wattle_types::{ActorId, ProviderError};

use super::super::unknown_operation;
use crate::{LogEntry, LogLevel, Logging, codec};

#[derive(Deserialize)]
struct WriteLogRequest {
    /// 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    level: u32,
    body: String,
}

pub(in crate::dialect) fn handle<L: Logging>(
    log: &L,
    actor: &ActorId,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    if operation != "WriteLog" {
        return Err(unknown_operation("wascc:logging", operation));
    }
    let WriteLogRequest { level, body } = codec::decode(payload)?;
    if let Some(level) = parse_level(level) {
        log.log(actor, LogEntry { level, text: body })?;
    }
    Ok(Bytes::new())
}

fn parse_level(level: u32) -> Option<LogLevel> {
    Some(match level {
        0 => return None,
        1 => LogLevel::Error,
        2 => LogLevel::Warn,
        3 => LogLevel::Info,
        4 => LogLevel::Debug,
        _ => LogLevel::Trace,
    })
}
