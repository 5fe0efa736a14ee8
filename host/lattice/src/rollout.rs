//! A new version of an actor or provider, brought to all hosts that run it, and back if it does not do well.
//!
//! A rollout is an entry of the shared state; whoever leads advances it. A step either writes the entry or acts on
//! hosts, never both: what is done always follows from what is written, so the next leader goes on where the last one
//! stopped. What is timed is timed anew by each leader, which can only make a watch longer.

use std::{collections::BTreeMap, time::Instant};

use serde::{Deserialize, Serialize};
use wattle_types::{HostId, control::Reading};

use crate::spec::{Extra, Target, Versions};

mod advance;
mod judge;

pub use advance::{Advancer, Ended};
pub use judge::judge;

/// The entry `WATTLE_ROLLOUT_{actor or provider id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// What is replaced.
    pub target: Target,
    /// Where the version comes from that runs so far.
    pub from: String,
    /// Where the new one comes from.
    pub to: String,
    /// Accept a lower revision.
    #[serde(default)]
    pub force: bool,
    /// Try it on a share of one host's calls first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How far it is.
    pub phase: Phase,
    /// Which start of the host it is whose turn it is: one that was started again in its turn has not done well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Hosts that were updated.
    #[serde(default)]
    pub done: Vec<HostId>,
    /// Why it goes back, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began, for people.
    #[serde(default)]
    pub started: String,
    /// What newer hosts wrote.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a new version is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// How many of 100 calls it takes, 1 to 100.
    pub percent: u8,
    /// How long it is watched, in seconds. Twice as long if it has had too few calls to tell.
    #[serde(default = "watch_secs")]
    pub watch_secs: u32,
    /// How many more of 100 calls may fail than with the old version.
    #[serde(default = "error_percent")]
    pub max_error_percent: f64,
    /// How many times as long its slowest calls may take.
    #[serde(default = "latency_factor")]
    pub max_latency_factor: f64,
}

const fn watch_secs() -> u32 {
    30
}

const fn error_percent() -> f64 {
    1.0
}

const fn latency_factor() -> f64 {
    2.0
}

/// How far a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Phase {
    /// The next host is to be chosen.
    Choosing,
    /// This host tries the new version with a share of its calls.
    Canary {
        /// The host.
        host: HostId,
    },
    /// This host goes over to the new version and is watched for a moment.
    Updating {
        /// The host.
        host: HostId,
    },
    /// All hosts run it; it is being declared.
    Declaring,
    /// It is what is declared.
    Done,
    /// Hosts go back to the old version.
    RollingBack,
    /// They have.
    RolledBack,
}

impl Phase {
    /// Returns whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack)
    }
}

/// What the leader sees of the hosts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// The reference that is declared, if the target is declared.
    pub declared: Option<String>,
    /// Hosts that run the target.
    pub hosts: BTreeMap<HostId, Running>,
    /// All hosts that are there, whatever they run, each with a number that is another one after it was started again.
    pub there: BTreeMap<HostId, u64>,
}

/// The target on one host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Running {
    /// Where the version comes from that takes calls.
    pub reference: String,
    /// Where the version on trial comes from, if one is.
    pub trial: Option<String>,
    /// How the version that is or was to be replaced does, measured since it stood beside the new one or just before.
    pub old: Reading,
    /// How the new one does, since it takes calls.
    pub new: Reading,
    /// When the host was asked for both, if it answered since it runs what it runs: without, they say nothing. What is
    /// never measured, as providers, counts as measured now.
    pub measured: Option<Instant>,
    /// The host drains: it is not asked for anything, but still tells how its versions do.
    pub is_draining: bool,
}

impl View {
    /// Returns the hosts that run the target and stay.
    fn staying(&self) -> impl Iterator<Item = (&HostId, &Running)> {
        self.hosts.iter().filter(|(_, running)| !running.is_draining)
    }
}

/// What is to be done on a host. Each may be asked for again until the view shows it done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RolloutAction {
    /// Start the new version beside the old one, with a share of the calls.
    StartCanary {
        /// Where.
        host: HostId,
        /// From where.
        reference: String,
        /// How many of 100 calls it takes.
        percent: u8,
        /// Accept a lower revision.
        force: bool,
    },
    /// Take the version on trial away.
    AbortCanary {
        /// Where.
        host: HostId,
    },
    /// Make the version on trial the only one.
    Promote {
        /// Where.
        host: HostId,
    },
    /// Replace the running version.
    Update {
        /// Where.
        host: HostId,
        /// From where.
        reference: String,
        /// Accept a lower revision.
        force: bool,
    },
    /// Write the declaration, if there is one, under the condition that it is as it was read.
    Declare {
        /// What is to run from now on.
        reference: String,
        /// Where one command goes back to.
        previous: String,
    },
    /// Take that back; the declaration is written even if it says something else, which stays.
    Undeclare {
        /// What is not to be declared.
        reference: String,
        /// What is declared instead.
        back_to: String,
    },
}

impl RolloutAction {
    /// Returns the host it is for.
    #[must_use]
    pub const fn host(&self) -> Option<HostId> {
        match self {
            Self::StartCanary { host, .. }
            | Self::AbortCanary { host }
            | Self::Promote { host }
            | Self::Update { host, .. } => Some(*host),
            Self::Declare { .. } | Self::Undeclare { .. } => None,
        }
    }
}

/// What follows. Either an entry to write (by compare-and-set), or actions, or nothing yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// The entry from now on.
    pub next: Option<Rollout>,
    /// What to do on hosts.
    pub actions: Vec<RolloutAction>,
}

impl Rollout {
    /// Makes a rollout that has not begun. `started` is for people.
    #[must_use]
    pub fn new(target: Target, from: String, to: String, started: String) -> Self {
        Self {
            target,
            from,
            to,
            force: false,
            canary: None,
            phase: Phase::Choosing,
            start: None,
            done: Vec::new(),
            reason: None,
            started,
            extra: Extra::new(),
        }
    }

    /// Returns whether it still goes on: the reconciler leaves its target's versions alone.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.phase.is_final()
    }

    /// Returns the same rollout on its way back, or `None` if it has ended.
    #[must_use]
    pub fn abort(&self, reason: &str) -> Option<Self> {
        self.is_active().then(|| self.back(reason.to_owned()))
    }

    /// Goes back; the host it was at may have changed already.
    fn back(&self, reason: String) -> Self {
        let mut next = self.clone();
        if let Phase::Canary { host } | Phase::Updating { host } = self.phase
            && !next.done.contains(&host)
        {
            next.done.push(host);
        }
        if self.phase != Phase::RollingBack {
            next.reason = Some(reason);
        }
        Self { phase: Phase::RollingBack, ..next }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let Some(canary) = &self.canary else { return Ok(()) };
        let is_positive = |number: f64| number.is_finite() && number >= 0.0;
        match canary {
            Canary { percent: 0 | 101.., .. } => Err("a canary takes 1 to 100 percent".into()),
            _ if !is_positive(canary.max_error_percent) || !is_positive(canary.max_latency_factor) => {
                Err("the canary's limits are not numbers from 0".into())
            }
            _ => Ok(()),
        }
    }
}

/// Decides whether a rollout may begin: not while the one that is stored goes on.
#[must_use]
pub fn begin(stored: Option<&Rollout>, next: &Rollout) -> Option<Rollout> {
    let is_free = stored.is_none_or(|stored| !stored.is_active());
    is_free.then(|| next.clone())
}

/// Makes the rollout that an operator asks for who wants to go back: the stored one turned round while it goes on,
/// otherwise one to what ran before, at once and without a canary. `started` is for people.
#[must_use]
pub fn back(
    target: &Target,
    stored: Option<&Rollout>,
    declared: Option<Versions<'_>>,
    started: String,
) -> Option<Rollout> {
    if let Some(turned) = stored.and_then(|stored| stored.abort("an operator turned it round")) {
        return Some(turned);
    }
    let before = declared.and_then(|declared| Some((declared.reference, declared.previous?)));
    let (from, to) = before.filter(|(from, to)| from != to).or_else(|| {
        // What was not declared went from one version to another by its last rollout.
        let last = stored.filter(|last| last.reason.is_none() && last.from != last.to)?;
        Some((last.to.as_str(), last.from.as_str()))
    })?;
    Some(Rollout { force: true, ..Rollout::new(target.clone(), from.to_owned(), to.to_owned(), started) })
}

#[cfg(test)]
mod tests;
