//! Our own verbs, and how what they ask for is to be done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ActorId, LinkDefinition, LinkKey, ProviderId};

/// Our own verbs, each on `wasmbus.ctl.v1.{lattice}.wattle.{verb}.{host}` and answered by a stream of
/// [`Progress`](super::Progress).
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
        /// Accept a lower revision, and one that does not claim what its links need.
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
    /// Tells how the versions of an actor do; see [`Measurement`](super::Measurement).
    MeasureActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
    },
    /// Tells how busy the host is; see [`HostLoad`](super::HostLoad).
    GetLoad,
    /// Asks one host what any host of the lattice can do, and is answered with the reply to that: a signed request is
    /// taken once altogether only when it is meant for one host.
    Ask {
        /// `config.put.NAME`, `link.put` and so on: the subject's end.
        #[serde(rename = "of")]
        verb: String,
        /// What is sent there; nothing if there is nothing.
        #[serde(default)]
        body: serde_json::Value,
    },
    /// Replaces a running actor's module, live.
    UpdateActor {
        /// Id, call alias, or claimed name of the actor.
        actor: String,
        /// Where the new module is.
        reference: String,
        /// Accept a lower revision, and one that does not claim what its links need.
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
        /// Names of configurations of the lattice; `config` wins over them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        configs: Vec<String>,
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
        /// Accept a lower revision, and one that does not serve what it is linked for.
        #[serde(default)]
        force: bool,
    },
    /// Stops a provider after its calls in flight. Its links stay.
    StopProvider {
        /// Which one.
        provider: ProviderId,
        /// Although running actors are linked to it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
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
        /// Although it does not claim what its links need.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// How long it may take until it runs so, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
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
        /// Although it does not serve what it is linked for, or ends while running actors are linked to it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// How long it may take until it runs so, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// Forgets a named configuration.
    DeleteConfig {
        /// Its name.
        name: String,
        /// Although links or declared providers use it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Lists what is declared; see [`Declaration`](super::Declaration).
    GetDeclared,
    /// Tells how what is declared stands, if this host leads; see [`Standing`](super::Standing).
    GetStandings,
    /// Replaces a version on all hosts that run it: host by host, maybe tried on a share of the calls first.
    StartRollout {
        /// Id, call alias, or claimed name of the actor; or the id of a provider.
        target: String,
        /// Where the new version is.
        reference: String,
        /// Accept a lower revision, and one that does not claim what its links need.
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
    /// Publishes what is invoked on `subject` for a while; see [`ObservedInvocation`](super::ObservedInvocation).
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
