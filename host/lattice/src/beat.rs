//! What a host tells all others about itself: often, and at once when it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wattle_types::{ActorId, HostId, ProviderId};

/// A host's short notice of what it runs. Published on [`wattle_types::subject::beat`], as JSON.
///
/// Whoever misses one gets the next; `version` grows with every change and `incarnation` with every start of the host,
/// so that an old notice never replaces a newer one.
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
    /// Milliseconds until the next notice at the latest.
    pub interval_ms: u64,
    /// Takes no new work, and its work is to be moved away.
    #[serde(default)]
    pub draining: bool,
    /// The host has ended: its last notice.
    #[serde(default)]
    pub last: bool,
    /// What the host says of itself, for placement.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Actors that take calls here.
    #[serde(default)]
    pub actors: BTreeMap<ActorId, RunningActor>,
    /// Providers that run here.
    #[serde(default)]
    pub providers: BTreeMap<ProviderId, RunningProvider>,
}

/// One actor on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningActor {
    /// Where its module came from.
    pub reference: String,
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
}
