//! Which nats-server it is, and what that lets it do.

use std::{fmt, path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

/// How long the program may take to tell its version.
const TELL_TIMEOUT: Duration = Duration::from_secs(5);

/// The first whose clusters let one of several writers win who expect the same revision.
const CLUSTERS_SINCE: (u64, u64) = (2, 11);

/// The first that can be told to write to the disk before it acknowledges.
const DURABLE_WRITES_SINCE: (u64, u64) = (2, 10);

/// A version of nats-server, shown as the server tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsVersion {
    text: String,
    release: (u64, u64),
}

impl NatsVersion {
    /// Reads a version such as `2.11.0` or `2.12.0-RC.1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map_while(|part| part.parse::<u64>().ok());
        Some(Self { text: text.to_owned(), release: (parts.next()?, parts.next()?) })
    }

    /// Returns whether a cluster of such servers keeps compare-and-set; a single server always does.
    #[must_use]
    pub fn keeps_cas_in_clusters(&self) -> bool {
        self.release >= CLUSTERS_SINCE
    }

    /// Returns whether it knows `sync_interval: always`.
    pub(super) fn has_durable_writes(&self) -> bool {
        self.release >= DURABLE_WRITES_SINCE
    }
}

impl fmt::Display for NatsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Asks the program for its version; `None` if it does not tell one.
///
/// # Cancel safety
/// Safe: the program is killed.
pub async fn version(program: &Path) -> Option<NatsVersion> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let told = tokio::time::timeout(TELL_TIMEOUT, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    NatsVersion::parse(text.trim().strip_prefix("nats-server: v")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_can_do() {
        let can = |text: &str| {
            NatsVersion::parse(text).map(|version| (version.keeps_cas_in_clusters(), version.has_durable_writes()))
        };
        for (text, expected) in [
            ("2.9.10", (false, false)),
            ("2.10.0", (false, true)),
            ("2.11.0", (true, true)),
            ("2.12.0-RC.1", (true, true)),
            ("3.0.0", (true, true)),
        ] {
            assert_eq!(can(text), Some(expected), "{text}");
        }
        for none in ["", "2", "new", "v2.11.0"] {
            assert_eq!(can(none), None, "{none}");
        }
    }
}
