//! The answers to our own verbs: steps on the way, and the shapes of results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SpreadGroup;

/// One message of the stream that answers a [`Command`](super::Command).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// A step is done; more follow.
    Step {
        /// `fetched`, `verified`, `compiled`, `probed`, `published`, `drained`, ...
        step: String,
        /// Details for people.
        detail: String,
        /// Since the command arrived.
        elapsed_ms: u64,
    },
    /// All is done.
    Done {
        /// The answer; its shape depends on the command.
        result: serde_json::Value,
    },
    /// It failed; what ran before still runs.
    Failed {
        /// Stable name of the error.
        code: String,
        /// What happened.
        message: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
    },
}

impl Progress {
    /// Returns whether nothing follows this message.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Step { .. })
    }
}

/// One thing that is declared, and where it runs: an element of the result of
/// [`Command::GetDeclared`](super::Command::GetDeclared).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// `actor` or `provider`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Where it comes from.
    pub reference: String,
    /// On how many hosts it is to run.
    pub replicas: u32,
    /// The hosts that run it.
    pub hosts: Vec<String>,
    /// The phase of its last rollout, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// Why that rollout went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the replicas are shared out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<SpreadGroup>,
    /// Labels every host has that runs it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, String>,
    /// Why it is not as declared, as the host that leads sees it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// How one thing that is declared stands, as the host that leads sees it: an element of the result of
/// [`Command::GetStandings`](super::Command::GetStandings), which is null where another host leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The actor's or provider's id.
    pub id: String,
    /// Which revision of the declaration this is about.
    pub revision: u64,
    /// On how many hosts it is to run.
    pub wanted: u32,
    /// On how many it runs, as declared.
    pub running: u32,
    /// Nothing is being changed, and what hosts refused was tried again: it stays so until something else changes.
    pub settled: bool,
    /// Why it is not as declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// The result of [`Command::Call`](super::Command::Call).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallResult {
    /// The response, base64.
    pub payload: String,
    /// How long it took.
    pub elapsed_us: u64,
}

/// The result of [`Command::MeasureActor`](super::Command::MeasureActor): how two versions do, side by side or one
/// after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// The version that is or was to be replaced, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Reading>,
    /// The one on trial, or the running one when there is none.
    pub new: Reading,
    /// Where the running one came from.
    pub reference: String,
    /// Where the one on trial came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
}

/// How one version has done since somebody wanted to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Calls that ended.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// The time that 99 of 100 calls did not exceed, in microseconds.
    pub p99_us: u64,
}

/// One invocation seen while somebody watches. Payloads are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedInvocation {
    /// Who called: an actor or provider id, or `host`.
    pub origin: String,
    /// Who was called.
    pub target: String,
    /// For which contract; absent between actors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// What for.
    pub operation: String,
    /// Bytes in.
    pub request_len: usize,
    /// Bytes out.
    pub response_len: usize,
    /// How long it took.
    pub elapsed_us: u64,
    /// Stable name of the error, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{super::Command, *};

    #[test]
    fn commands_and_progress_are_tagged_objects() {
        let stop = Command::StopProvider { provider: "kv".parse().unwrap(), force: false };
        let json = r#"{"verb":"stop_provider","provider":"kv"}"#;
        assert_eq!(serde_json::to_string(&stop).unwrap(), json);
        assert_eq!(serde_json::from_str::<Command>(json).unwrap(), stop);
        let failed: Progress = serde_json::from_str(r#"{"progress":"failed","code":"x","message":"y"}"#).unwrap();
        assert!(failed.is_final());
    }
}
