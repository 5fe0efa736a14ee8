//! Keeps what is declared running, at its scale, whatever happens to hosts. The leader's work.
//!
//! [`Reconciler::plan`] compares what is declared with what hosts tell, and names actions; the driver carries them out
//! and reports with [`Reconciler::outcome`]. Nothing here is kept for a next leader: it plans anew from the same two.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use wattle_types::{ActorId, HostId, ProviderId};

use crate::{
    directory::DirectorySnapshot,
    placement::{self, HostView, Placement},
    spec::{Bucket, DeclaredActor, DeclaredProvider, LatticeData, Spread, Target},
};

mod memory;
mod plan;

use memory::Memory;

/// Starts and updates one host is asked for at once: each may fetch and compile.
const STARTS_AT_ONCE: usize = 4;
/// How long a host must have been there before it gets anything or has a surplus taken away: many appear at once, and
/// the first of them must not get it all.
const SETTLE: Duration = Duration::from_secs(1);

/// What is to run.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Actors.
    pub actors: BTreeMap<ActorId, DeclaredActor>,
    /// Providers.
    pub providers: BTreeMap<ProviderId, DeclaredProvider>,
    /// Of each, the revision of its declaration.
    pub revisions: BTreeMap<Target, u64>,
    /// What a rollout is changing: its versions are left alone.
    pub rolling: BTreeSet<Target>,
    /// What has a declaration nobody can read: it is left as it is.
    pub unreadable: BTreeSet<Target>,
}

impl Declared {
    /// Takes what is declared out of the shared state. Only to be used once that is
    /// [caught up](LatticeData::is_caught_up): what is not there is stopped.
    #[must_use]
    pub fn from_data(data: &LatticeData) -> Self {
        let active = data.rollouts().filter(|rollout| rollout.is_active());
        let actors = data.actors().map(|(id, _)| Target::Actor(*id));
        let targets = actors.chain(data.providers().map(|(id, _)| Target::Provider(id.clone())));
        let revision = |target: &Target| data.revision_of(Bucket::Lattice, &target.declared_key());
        Self {
            revisions: targets.filter_map(|target| revision(&target).map(|revision| (target, revision))).collect(),
            actors: data.actors().map(|(id, declared)| (*id, declared.clone())).collect(),
            providers: data.providers().map(|(id, declared)| (id.clone(), declared.clone())).collect(),
            rolling: active.map(|rollout| rollout.target.clone()).collect(),
            unreadable: data.unreadable(),
        }
    }
}

/// Something to do on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Where.
    pub host: HostId,
    /// With what.
    pub target: Target,
    /// What.
    pub work: Work,
}

/// What to do with an actor or provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Start the actor.
    StartActor {
        /// As declared.
        declared: DeclaredActor,
    },
    /// Start the provider.
    StartProvider {
        /// As declared; its named configurations are to be looked up.
        declared: DeclaredProvider,
    },
    /// Stop it, after its calls in flight.
    Stop,
    /// Change how many calls the actor takes at once.
    Resize {
        /// Most calls at once.
        max_in_flight: u32,
    },
    /// Replace its version, live; a lower revision is accepted, as the declaration says so.
    Update {
        /// Where the declared version is.
        reference: String,
    },
}

/// How something that is declared stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What.
    pub target: Target,
    /// Which revision of its declaration this is about.
    pub revision: u64,
    /// How many hosts are to run it.
    pub wanted: u32,
    /// How many do, in the declared version.
    pub running: u32,
    /// Nothing is being changed, and what hosts refused was tried again: it stays so until something else changes.
    pub is_settled: bool,
    /// Why it is not as declared, for people.
    pub why: Vec<String>,
}

/// The leader's plan-maker.
#[derive(Debug)]
pub struct Reconciler {
    not_before: Instant,
    memory: Memory,
    standings: Vec<Standing>,
}

impl Reconciler {
    /// Begins; nothing is planned before `not_before`, by when all hosts must have been heard.
    #[must_use]
    pub fn new(not_before: Instant) -> Self {
        Self { not_before, memory: Memory::default(), standings: Vec::new() }
    }

    /// Returns what is to be done now. What it returned before is not returned again until it has ended or taken too
    /// long. To be called when anything changed, and at least each second.
    pub fn plan(&mut self, now: Instant, declared: &Declared, hosts: &DirectorySnapshot) -> Vec<Action> {
        if now < self.not_before {
            return Vec::new();
        }
        self.memory.forget(now, hosts);
        plan::plan(now, declared, hosts, &mut self.memory, &mut self.standings)
    }

    /// Takes in how an action ended. One that failed is tried again later and later, elsewhere at once if possible.
    pub fn outcome(&mut self, now: Instant, action: &Action, result: Result<(), String>) {
        self.memory.outcome(now, action, result);
    }

    /// Returns how everything that is declared stood at the last plan.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }
}

/// What placing needs of a declaration of either kind.
struct Wanted<'a> {
    target: Target,
    replicas: u32,
    spread: &'a [Spread],
    constraints: &'a BTreeMap<String, String>,
    reference: &'a str,
    max_in_flight: Option<u32>,
    start: Work,
}

impl<'a> Wanted<'a> {
    fn actor(id: ActorId, declared: &'a DeclaredActor) -> Self {
        Self {
            target: Target::Actor(id),
            replicas: declared.replicas,
            spread: &declared.spread,
            constraints: &declared.constraints,
            reference: &declared.reference,
            max_in_flight: declared.max_in_flight,
            start: Work::StartActor { declared: declared.clone() },
        }
    }

    fn provider(id: ProviderId, declared: &'a DeclaredProvider) -> Self {
        Self {
            target: Target::Provider(id),
            replicas: declared.replicas,
            spread: &declared.spread,
            constraints: &declared.constraints,
            reference: &declared.reference,
            max_in_flight: None,
            start: Work::StartProvider { declared: declared.clone() },
        }
    }

    fn place(&self, hosts: &[HostView<'_>]) -> Placement {
        placement::place(self.replicas, self.spread, self.constraints, hosts)
    }
}

#[cfg(test)]
mod tests;
