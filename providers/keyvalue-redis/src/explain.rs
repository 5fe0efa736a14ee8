//! What went wrong, in the contract's words. Names the server's address, never its password.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use wattle_provider_sdk::{AnswerRoom, KeyValueError, ValueKind};

use crate::reading::TOO_LARGE;

/// Explains the failure of a command that works on `expected`, at the server at `address`.
pub(crate) fn explain(error: &RedisError, expected: ValueKind, address: &str) -> KeyValueError {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some("WRONGTYPE") => return KeyValueError::WrongKind { expected },
        Some(TOO_LARGE) => return AnswerRoom::refusal(detail.parse().unwrap_or(usize::MAX)),
        Some("OOM") => return KeyValueError::Full { limit: format!("maxmemory of Redis at {address}") },
        Some("NOAUTH" | "WRONGPASS") => {
            return KeyValueError::Unavailable(format!("Redis at {address} refuses the credentials in url"));
        }
        Some("MISCONF" | "NOREPLICAS") => {
            return KeyValueError::Unavailable(format!("Redis at {address} takes no changes now: {detail}"));
        }
        Some("ERR") if detail.contains("not an integer") => return KeyValueError::NotANumber,
        Some("ERR") if detail.contains("would overflow") => return KeyValueError::Overflow,
        _ => {}
    }
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => {
            KeyValueError::Unavailable(format!("Redis at {address} does not answer in time"))
        }
        ErrorKind::Io => KeyValueError::Unavailable(format!("Redis at {address} cannot be reached: {error}")),
        ErrorKind::AuthenticationFailed => {
            KeyValueError::Unavailable(format!("Redis at {address} refuses the credentials in url"))
        }
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ReadOnly,
        ) => KeyValueError::Unavailable(format!("Redis at {address} is not ready: {error}")),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            KeyValueError::Failed("the value in Redis is not text in UTF-8".into())
        }
        _ => KeyValueError::Failed(format!("Redis at {address}: {error}")),
    }
}
