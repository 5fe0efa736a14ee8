//! The control interface: JSON over `wasmbus.ctl.v1.{lattice}`.
//!
//! The first half is wasmCloud's control interface v1, field for field. The second, under the verbs `wattle.*`, is
//! ours: requests answered by a *stream* of [`Progress`] on the reply subject, of which the last is final.

mod auction;
mod label;
mod load;
mod registry;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ActorId, LinkDefinition, LinkKey, ProviderId};

pub use auction::{ComponentAuction, ComponentBid, ProviderAuction, ProviderBid};
pub use label::{DeleteLabel, PutLabel};
pub use load::{HostLoad, SlotLoad};
pub use registry::RegistryCredential;

/// Every reply of control interface v1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// Whether the request was accepted.
    pub success: bool,
    /// Why not, or a remark.
    pub message: String,
    /// What was asked for.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub response: Option<T>,
}

impl<T> Reply<T> {
    /// Makes a reply that carries an answer.
    #[must_use]
    pub const fn ok(response: T) -> Self {
        Self { success: true, message: String::new(), response: Some(response) }
    }

    /// Makes an acknowledgement without an answer.
    #[must_use]
    pub fn ack(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into(), response: None }
    }

    /// Makes a refusal.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { success: false, message: message.into(), response: None }
    }
}

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
    /// Our actor id (`M...`).
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

/// What our inventory adds for an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorDetails {
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

/// A link on the control interface: `source` calls `target`.
///
/// The contract `ns:pkg` is `wit_namespace` and `wit_package`; the values stand in `source_config` and `target_config`
/// as names of configurations, ours inline in `values`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Actor or provider that calls.
    pub source_id: String,
    /// Actor or provider that is called.
    pub target: String,
    /// The link's name.
    #[serde(default = "default_link_name")]
    pub name: String,
    /// `wasmcloud` of `wasmcloud:keyvalue`.
    pub wit_namespace: String,
    /// `keyvalue` of `wasmcloud:keyvalue`.
    pub wit_package: String,
    /// Interfaces of the package; ours has one, named like the package.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Names of configurations.
    #[serde(default)]
    pub source_config: Vec<String>,
    /// Names of configurations.
    #[serde(default)]
    pub target_config: Vec<String>,
}

fn default_link_name() -> String {
    crate::LinkName::DEFAULT.into()
}

/// `component.scale.{host}`: run, resize (`count` is the most calls at once) or stop (0) an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleComponent {
    /// Where the module is; not needed to stop it.
    #[serde(default)]
    pub component_ref: String,
    /// Our actor id.
    pub component_id: String,
    /// Most calls at once; 0 stops the actor.
    #[serde(default)]
    pub count: u32,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
    /// Names of configurations.
    #[serde(default)]
    pub config: Vec<String>,
    /// Whether another reference of a running actor is an update.
    #[serde(default)]
    pub allow_update: bool,
}

/// `component.update.{host}`: replace a running actor's module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateComponent {
    /// Our actor id.
    pub component_id: String,
    /// Where the new module is.
    pub new_component_ref: String,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
}

/// `provider.start.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartProvider {
    /// Our provider id.
    pub provider_id: String,
    /// Where it is.
    pub provider_ref: String,
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
    /// Names of configurations.
    #[serde(default)]
    pub config: Vec<String>,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// `provider.stop.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProvider {
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
    /// Our provider id.
    #[serde(alias = "provider_ref")]
    pub provider_id: String,
}

/// `host.stop.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopHost {
    /// The host asked.
    pub host_id: String,
    /// How long work in flight may take to end.
    #[serde(default, rename = "timeout", skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// `link.del`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLink {
    /// Who calls over it.
    pub source_id: String,
    /// The link's name.
    #[serde(default = "default_link_name")]
    pub name: String,
    /// `wasmcloud` of `wasmcloud:keyvalue`.
    pub wit_namespace: String,
    /// `keyvalue` of `wasmcloud:keyvalue`.
    pub wit_package: String,
}

/// Our own verbs, each on `wasmbus.ctl.v1.{lattice}.wattle.{verb}.{host}` and answered by a stream of [`Progress`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Command {
    /// Starts an actor.
    StartActor {
        /// `file:///path`, or `https://host/path#sha256=HEX`.
        reference: String,
        /// Most calls at once; the host's default otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_in_flight: Option<u32>,
        /// Kept in the inventory.
        #[serde(default)]
        annotations: BTreeMap<String, String>,
        /// Started because it is declared: whoever keeps declarations may move and stop it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        declared: bool,
    },
    /// Changes how many calls of an actor may run at once.
    ResizeActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
        /// Most calls at once.
        max_in_flight: u32,
    },
    /// Lets a new version take a share of an actor's calls, beside the running one.
    TryActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
        /// Where the new module is.
        reference: String,
        /// How many of 100 calls it takes.
        percent: u8,
        /// Accept a lower revision.
        #[serde(default)]
        force: bool,
    },
    /// Makes the version on trial the only one.
    PromoteActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
    },
    /// Ends a trial: the running version takes all calls again.
    WithdrawActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
    },
    /// Tells how the versions of an actor do; see [`Measurement`].
    MeasureActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
    },
    /// Tells how busy the host is; see [`HostLoad`].
    GetLoad,
    /// Replaces a running actor's module, live.
    UpdateActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
        /// Where the new module is.
        reference: String,
        /// Accept a lower revision.
        #[serde(default)]
        force: bool,
    },
    /// Stops an actor after its calls in flight.
    StopActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
    },
    /// Starts a provider.
    StartProvider {
        /// `builtin:KIND`, `file:///path.par.gz`, or `https://host/path#sha256=HEX`.
        reference: String,
        /// Its identity; by default the kind, or the key in the archive's claims.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<ProviderId>,
        /// Configuration for all its links.
        #[serde(default)]
        config: BTreeMap<String, String>,
        /// Kept in the inventory.
        #[serde(default)]
        annotations: BTreeMap<String, String>,
        /// As for actors.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        declared: bool,
    },
    /// Replaces a running provider, live: its links and sockets go over to the new one.
    UpdateProvider {
        /// Which one.
        provider: ProviderId,
        /// Where the new one is.
        reference: String,
        /// New configuration; the old one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<BTreeMap<String, String>>,
        /// Allows a lower revision.
        #[serde(default)]
        force: bool,
    },
    /// Stops a provider after its calls in flight. Its links stay.
    StopProvider {
        /// Which one.
        provider: ProviderId,
    },
    /// Declares that an actor runs on so many hosts, from now on and whatever happens to them.
    DeclareActor {
        /// Where its module is, for every host that may run it.
        reference: String,
        /// Where and how.
        #[serde(flatten)]
        scale: Scale,
        /// Most calls at once on each host; the host's default otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_in_flight: Option<u32>,
    },
    /// Declares that a provider runs on so many hosts.
    DeclareProvider {
        /// What it is, for every host that may run it.
        reference: String,
        /// Its identity; the kind when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<ProviderId>,
        /// Where and how.
        #[serde(flatten)]
        scale: Scale,
        /// Configuration for all its links.
        #[serde(default)]
        config: BTreeMap<String, String>,
        /// Names of configurations of the lattice; `config` wins over them.
        #[serde(default)]
        configs: Vec<String>,
    },
    /// Lists what is declared; see [`Declaration`].
    GetDeclared,
    /// Replaces a version on all hosts that run it: host by host, maybe tried on a share of the calls first.
    StartRollout {
        /// Id, call alias, or claimed name of the actor; or the id of a provider.
        target: String,
        /// Where the new version is.
        reference: String,
        /// Accept a lower revision.
        #[serde(default)]
        force: bool,
        /// Try it first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        canary: Option<Canary>,
    },
    /// Tells how a rollout goes on, until it has ended.
    FollowRollout {
        /// Id, call alias, or claimed name of the actor; or the id of a provider.
        target: String,
    },
    /// Goes back to what ran before the last rollout, or turns the one under way round.
    RollBack {
        /// Id, call alias, or claimed name of the actor; or the id of a provider.
        target: String,
    },
    /// Moves what is declared to other hosts, then stops this one.
    DrainHost {
        /// How long moving may take, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// Sets a link, with its values.
    PutLink {
        /// The link.
        link: LinkDefinition,
        /// Whether it may replace a link to another provider.
        #[serde(default)]
        replace: bool,
    },
    /// Deletes a link.
    DeleteLink {
        /// Which one.
        link: LinkKey,
    },
    /// Lists links, values included.
    GetLinks,
    /// Calls an actor.
    Call {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
        /// The operation.
        operation: String,
        /// The request, base64.
        payload: String,
        /// How long to wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// Publishes what is invoked on `subject` for a while; see [`ObservedInvocation`].
    Watch {
        /// Where to; a subject of the asker's own.
        subject: String,
        /// For how long.
        seconds: u32,
        /// Only calls of or to this actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<ActorId>,
    },
}

/// On how many hosts, and on which, something runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scale {
    /// On how many hosts; 0 ends it.
    pub replicas: u32,
    /// How they are shared out; over all hosts when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<SpreadGroup>,
    /// Labels every host has that runs it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, String>,
    /// Kept in inventories.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Hosts that get their share of the replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadGroup {
    /// Labels its hosts have, all of them.
    pub labels: BTreeMap<String, String>,
    /// Its share is this of the sum of all weights.
    pub weight: u32,
}

/// How a new version is tried. What is absent has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// How many of 100 calls it takes on the first host.
    pub percent: u8,
    /// How long it is watched, in seconds; twice as long if it has too few calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_secs: Option<u32>,
    /// How many more of 100 calls may fail than with the old version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_error_percent: Option<f64>,
    /// How many times as long its slowest calls may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_factor: Option<f64>,
}

/// One thing that is declared, and where it runs: an element of the result of [`Command::GetDeclared`].
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
}

/// One message of the stream that answers a [`Command`].
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

/// The result of [`Command::Call`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallResult {
    /// The response, base64.
    pub payload: String,
    /// How long it took.
    pub elapsed_us: u64,
}

/// The result of [`Command::MeasureActor`]: how two versions do, side by side or one after the other.
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
    use super::*;

    #[test]
    fn replies_have_the_control_interface_s_shape() {
        assert_eq!(serde_json::to_string(&Reply::<()>::ack("ok")).unwrap(), r#"{"success":true,"message":"ok"}"#);
        let reply: Reply<Vec<u8>> = serde_json::from_str(r#"{"success":false,"message":"no"}"#).unwrap();
        assert_eq!(reply, Reply::error("no"));
    }

    #[test]
    fn commands_and_progress_are_tagged_objects() {
        let stop = Command::StopProvider { provider: "kv".parse().unwrap() };
        let json = r#"{"verb":"stop_provider","provider":"kv"}"#;
        assert_eq!(serde_json::to_string(&stop).unwrap(), json);
        assert_eq!(serde_json::from_str::<Command>(json).unwrap(), stop);
        let failed: Progress = serde_json::from_str(r#"{"progress":"failed","code":"x","message":"y"}"#).unwrap();
        assert!(failed.is_final());
    }
}
