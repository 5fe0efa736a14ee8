//! What a host tells all others about itself: often, and at once when it changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wattle_types::{ActorId, HostId, ProviderId, signed::CLOCKS_APART_MAX_SECS};

mod proof;

pub(crate) use proof::{Prover, Unproven};

/// A host's short notice of what it runs. Published on [`wattle_types::subject::beat`], as JSON.
///
/// Whoever misses one gets the next; `version` grows with every change and `incarnation` with every start of the host,
/// so that an old notice never replaces a newer one, and `sent` with every notice, so that one that is sent again by
/// somebody else does not pass for a sign of life. A header beside it proves whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub host: HostId,
    /// A name for people.
    pub name: String,
    /// When this process of the host started, in milliseconds since 1970: a later one replaces an earlier one.
    pub incarnation: u64,
    /// Counts what the host told; starts at 1.
    pub version: u64,
    /// Counts the notices of this start of the host.
    #[serde(default)]
    pub sent: u64,
    /// Milliseconds until the next notice at the latest.
    pub interval_ms: u64,
    /// What the host's clock showed, in seconds since 1970; 0 where the host does not tell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock: u64,
    /// Takes no new work, and its work is to be moved away.
    #[serde(default)]
    pub draining: bool,
    /// Nothing has changed since the whole notice of this version: what runs is left out. Most notices are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
    /// The host has ended: its last notice.
    #[serde(default)]
    pub last: bool,
    /// Hosts whose brief notices are heard, and of which it is not known what they run: they are to tell it again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub asks: BTreeSet<HostId>,
    /// Hosts that were heard just now, by the start of each, and cannot tell by the clock that this notice is of now:
    /// it was sent after they started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub greets: BTreeMap<HostId, u64>,
    /// What the host says of itself, for placement.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Actors that take calls here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actors: BTreeMap<ActorId, RunningActor>,
    /// Providers that run here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<ProviderId, RunningProvider>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_zero(clock: &u64) -> bool {
    *clock == 0
}

/// Most labels of a host.
pub const LABELS_MAX: usize = 128;
/// Longest name of a label, in bytes.
pub const LABEL_KEY_LEN_MAX: usize = 256;
/// Longest value of a label, in bytes.
pub const LABEL_VALUE_LEN_MAX: usize = 1024;
/// Most actors, and most providers, of a host: what still fits in one message.
const RUNNING_MAX: usize = 4096;
/// Most hosts that are asked at once to tell what they run, or greeted; others are with the next notice.
pub(crate) const ASKS_MAX: usize = 64;
/// Most operations that a provider tells of.
const OPERATIONS_MAX: usize = 256;
/// Longest reference.
const REFERENCE_LEN_MAX: usize = 2048;
/// Longest name or alias.
const TEXT_LEN_MAX: usize = 256;
/// Shortest and longest time between two notices, in milliseconds. The longest decides how long a ghost may stay.
pub(crate) const INTERVAL_MS: std::ops::RangeInclusive<u64> = 50..=60_000;

impl Beat {
    /// Reads a notice and checks its bounds.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let beat: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        beat.check().map_err(str::to_owned)?;
        Ok(beat)
    }

    /// Checks that the notice has no more of anything than hosts keep of each other.
    ///
    /// # Errors
    /// Which bound it breaks.
    pub fn check(&self) -> Result<(), &'static str> {
        let bounds = [
            (is_short(&self.name), "the host's name is too long"),
            (INTERVAL_MS.contains(&self.interval_ms), "the interval is not within 50 ms and 60 s"),
            (self.labels.len() <= LABELS_MAX, "too many labels"),
            (self.labels.iter().all(|(key, value)| is_label(key, value)), "a label is too long"),
            (self.asks.len() <= ASKS_MAX, "too many hosts are asked"),
            (self.greets.len() <= ASKS_MAX, "too many hosts are greeted"),
            (self.actors.len() <= RUNNING_MAX, "too many actors"),
            (self.providers.len() <= RUNNING_MAX, "too many providers"),
            (self.actors.values().all(RunningActor::fits), "an actor's references or its alias are too long"),
            (self.providers.values().all(RunningProvider::fits), "a provider's reference or operations are too long"),
        ];
        bounds.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(*broken))
    }

    /// Takes out what other hosts would refuse the whole notice for.
    ///
    /// # Errors
    /// Which bound it broke; now it does not, save for the interval's.
    pub fn fit(&mut self) -> Result<(), &'static str> {
        let fits = self.check();
        if fits.is_err() {
            self.name.truncate(self.name.floor_char_boundary(TEXT_LEN_MAX));
            self.labels.retain(|key, value| is_label(key, value));
            self.actors.retain(|_, actor| actor.fits());
            self.providers.retain(|_, provider| provider.fits());
            keep_first(&mut self.labels, LABELS_MAX);
            keep_first(&mut self.actors, RUNNING_MAX);
            keep_first(&mut self.providers, RUNNING_MAX);
        }
        fits
    }

    /// Returns the notice without what runs, and without labels.
    #[must_use]
    pub fn without_details(self) -> Self {
        Self { labels: BTreeMap::new(), actors: BTreeMap::new(), providers: BTreeMap::new(), ..self }
    }

    /// Returns whether a notice of a host nobody knows, or of an earlier start than is known, can be of now: its clock
    /// is near ours, or it says that its sender has heard this start of ours.
    pub(crate) fn is_fresh(&self, our_clock: u64, us: &HostId, our_start: u64) -> bool {
        self.clock.abs_diff(our_clock) <= CLOCKS_APART_MAX_SECS || self.greets.get(us) == Some(&our_start)
    }

    /// Returns for how long after this notice the host counts as there: three intervals, at least two seconds.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_millis(self.interval_ms.saturating_mul(3)).max(Duration::from_secs(2))
    }
}

const fn is_short(text: &str) -> bool {
    text.len() <= TEXT_LEN_MAX
}

const fn is_reference(text: &str) -> bool {
    text.len() <= REFERENCE_LEN_MAX
}

const fn is_label(key: &str, value: &str) -> bool {
    key.len() <= LABEL_KEY_LEN_MAX && value.len() <= LABEL_VALUE_LEN_MAX
}

fn keep_first<K: Ord, V>(map: &mut BTreeMap<K, V>, max: usize) {
    while map.len() > max {
        map.pop_last();
    }
}

/// One actor on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningActor {
    /// Where its module came from.
    pub reference: String,
    /// Where the version on trial beside it came from, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// From its claims.
    pub revision: i32,
    /// Most calls at once.
    pub max_in_flight: u32,
    /// The name other actors may call it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_alias: Option<String>,
    /// Set when the reconciler started it: it may stop and move it. What people started by hand it leaves alone.
    #[serde(default)]
    pub declared: bool,
}

/// One provider on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningProvider {
    /// Where it came from.
    pub reference: String,
    /// As for actors.
    #[serde(default)]
    pub declared: bool,
    /// Operations that may run twice without harm.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub repeatable: BTreeSet<String>,
}

impl RunningActor {
    fn fits(&self) -> bool {
        is_reference(&self.reference)
            && self.trial.as_deref().is_none_or(is_reference)
            && self.call_alias.as_deref().is_none_or(is_short)
    }
}

impl RunningProvider {
    fn fits(&self) -> bool {
        is_reference(&self.reference)
            && self.repeatable.len() <= OPERATIONS_MAX
            && self.repeatable.iter().all(|name| is_short(name))
    }
}
