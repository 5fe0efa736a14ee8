//! Hosts and what they run, as `host.ping` and `host.get` tell it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A host, as it answers `host.ping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// `N...`.
    pub id: String,
    /// A name for people.
    pub friendly_name: String,
    /// What the host says of itself.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its lattice.
    pub lattice: String,
    /// Since it started.
    pub uptime_seconds: u64,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_human: Option<String>,
    /// Of the host program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a host runs, as it answers `host.get.{host}`. `components` are our actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInventory {
    /// `N...`.
    pub host_id: String,
    /// A name for people.
    pub friendly_name: String,
    /// What the host says of itself.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Of the host program.
    #[serde(default)]
    pub version: String,
    /// Since it started, in words.
    #[serde(default)]
    pub uptime_human: String,
    /// Since it started.
    #[serde(default)]
    pub uptime_seconds: u64,
    /// Actors.
    #[serde(default, alias = "actors")]
    pub components: Vec<ActorDescription>,
    /// Providers.
    #[serde(default)]
    pub providers: Vec<ProviderDescription>,
}

/// One actor in an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorDescription {
    /// What whoever started it calls it: its name in the lattice, or else its id (`M...`).
    pub id: String,
    /// Where its module came from.
    pub image_ref: String,
    /// From its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given at start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// From its claims.
    #[serde(default)]
    pub revision: i32,
    /// How many calls may run at once.
    #[serde(default)]
    pub max_instances: u32,
    /// Ours: what other tools do not know of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wattle: Option<ActorDetails>,
}

impl ActorDescription {
    /// Returns the actor's id (`M...`), whatever it is called.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.wattle.as_ref().and_then(|details| details.actor.as_deref()).unwrap_or(&self.id)
    }
}

/// What our inventory adds for an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorDetails {
    /// Its id (`M...`), where it goes by a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// How many versions this slot has had, this one included.
    pub generation: u64,
    /// From its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_alias: Option<String>,
    /// Who signed it (`A...`).
    pub issuer: String,
    /// Capabilities it claims.
    pub capabilities: Vec<String>,
    /// Calls running now.
    pub in_flight: u64,
    /// When its claims end, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Why its calls are refused: its claims have ended. `None` while they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapsed: Option<String>,
}

/// One provider in an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderDescription {
    /// Our provider id.
    pub id: String,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// From its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given at start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// From its claims.
    #[serde(default)]
    pub revision: i32,
    /// Ours: what other tools do not know of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wattle: Option<ProviderDetails>,
}

/// What our inventory adds for a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderDetails {
    /// How many versions this slot has had, this one included.
    pub generation: u64,
    /// Contracts it serves.
    pub contracts: Vec<String>,
    /// Links it serves.
    pub links: usize,
    /// Calls running now.
    pub in_flight: u64,
    /// `None` when its last health check passed and its claims hold, otherwise why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<String>,
    /// When its claims end, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}
