//! Actors' lines in the host's log.

use std::borrow::Cow;

use wattle_provider_sdk::{LogEntry, LogLevel, Logging};
use wattle_types::{ActorId, ProviderError};

/// Longest text that is written of one line, in bytes; the rest is cut off.
const TEXT_LEN_MAX: usize = 8 * 1024;

/// Writes through `tracing`, with target `actor` and the actor's id as a field.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostLog;

impl Logging for HostLog {
    fn log(&self, actor: &ActorId, entry: LogEntry) -> Result<(), ProviderError> {
        let text = cut(&entry.text);
        match entry.level {
            LogLevel::Error => tracing::error!(target: "actor", %actor, "{text}"),
            LogLevel::Warn => tracing::warn!(target: "actor", %actor, "{text}"),
            LogLevel::Info => tracing::info!(target: "actor", %actor, "{text}"),
            LogLevel::Debug => tracing::debug!(target: "actor", %actor, "{text}"),
            LogLevel::Trace => tracing::trace!(target: "actor", %actor, "{text}"),
        }
        Ok(())
    }
}

/// Cuts a text at a character's boundary and takes away what could forge other lines or drive a terminal.
fn cut(text: &str) -> Cow<'_, str> {
    let end = text.floor_char_boundary(TEXT_LEN_MAX);
    let kept = text.get(..end).unwrap_or_default();
    let forges = |c: char| c.is_control() && c != '\t';
    match (kept.contains(forges), end < text.len()) {
        (false, false) => kept.into(),
        (_, is_cut) => {
            let mut clean: String = kept.chars().map(|c| if forges(c) { ' ' } else { c }).collect();
            if is_cut {
                clean.push_str(" [...]");
            }
            clean.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_bounded_line() {
        assert_eq!(cut("plain\ttext é"), "plain\ttext é");
        assert_eq!(cut("a\nERROR forged\x1b[2J"), "a ERROR forged [2J");
        let long = "é".repeat(TEXT_LEN_MAX);
        let short = cut(&long);
        assert!(short.ends_with("é [...]") && short.len() <= TEXT_LEN_MAX + 6, "{}", short.len());
    }
}
