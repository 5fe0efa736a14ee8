//! The directory as calls see it.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    hash::Hash,
    sync::Arc,
    time::Instant,
};

use wattle_types::{ActorId, HostId, ProviderId};

use super::choose::choose;
use crate::beat::Beat;

/// A host that is there.
#[derive(Debug, Clone)]
pub struct KnownHost {
    /// What it told last.
    pub beat: Arc<Beat>,
    /// When it appeared, by our clock.
    pub since: Instant,
}

/// Who runs what, at one moment. Immutable.
#[derive(Debug, Default)]
pub struct DirectorySnapshot {
    /// Costly to make in a large lattice. Suspicions come and go more often.
    pub(super) known: Arc<Known>,
    suspects: BTreeMap<HostId, Instant>,
}

/// What the hosts told, by what is looked for.
#[derive(Debug, Default)]
pub(super) struct Known {
    hosts: BTreeMap<HostId, KnownHost>,
    actors: HashMap<ActorId, Vec<HostId>>,
    providers: HashMap<ProviderId, Vec<HostId>>,
    aliases: HashMap<String, ActorId>,
}

impl Known {
    fn new(hosts: BTreeMap<HostId, KnownHost>) -> Self {
        let mut all = Self::default();
        // Draining hosts are indexed last: only for what nobody else has.
        for draining in [false, true] {
            let mut fresh = Self::default();
            for (host, known) in hosts.iter().filter(|(_, known)| known.beat.draining == draining) {
                fresh.index(*host, &known.beat);
            }
            keep_known(&mut all.actors, fresh.actors);
            keep_known(&mut all.providers, fresh.providers);
            keep_known(&mut all.aliases, fresh.aliases);
        }
        all.hosts = hosts;
        all
    }

    fn index(&mut self, host: HostId, beat: &Beat) {
        for (actor, running) in &beat.actors {
            self.actors.entry(*actor).or_default().push(host);
            let Some(alias) = &running.call_alias else { continue };
            // Two actors with one alias: everybody must choose the same, whatever was heard first.
            self.aliases.entry(alias.clone()).and_modify(|known| *known = (*known).min(*actor)).or_insert(*actor);
        }
        for provider in beat.providers.keys() {
            self.providers.entry(provider.clone()).or_default().push(host);
        }
    }
}

impl DirectorySnapshot {
    pub(super) fn new(hosts: BTreeMap<HostId, KnownHost>, suspects: BTreeMap<HostId, Instant>) -> Self {
        Self { known: Arc::new(Known::new(hosts)), suspects }
    }

    /// Returns the same view with other suspects.
    pub(super) fn with_suspects(&self, suspects: BTreeMap<HostId, Instant>) -> Self {
        Self { known: self.known.clone(), suspects }
    }

    /// Returns the hosts that run an actor, in order. Draining ones only if no other does.
    #[must_use]
    pub fn actor_hosts(&self, actor: &ActorId) -> &[HostId] {
        self.known.actors.get(actor).map_or(&[], Vec::as_slice)
    }

    /// Returns the actor of that call alias. If several claim it, all hosts choose the same.
    #[must_use]
    pub fn actor_by_alias(&self, alias: &str) -> Option<ActorId> {
        self.known.aliases.get(alias).copied()
    }

    /// Returns the hosts that run a provider, in order. Draining ones only if no other does.
    #[must_use]
    pub fn provider_hosts(&self, provider: &ProviderId) -> &[HostId] {
        self.known.providers.get(provider).map_or(&[], Vec::as_slice)
    }

    /// Returns all hosts that are there, draining ones included.
    #[must_use]
    pub fn hosts(&self) -> &BTreeMap<HostId, KnownHost> {
        &self.known.hosts
    }

    /// Returns whether calls should avoid a host for now.
    #[must_use]
    pub fn is_suspect(&self, host: &HostId, now: Instant) -> bool {
        self.suspects.get(host).is_some_and(|until| *until > now)
    }

    /// Chooses one of `candidates` for a call, avoiding suspects: see [`choose`].
    pub fn choose(
        &self,
        candidates: &[HostId],
        now: Instant,
        outstanding: impl Fn(&HostId) -> usize,
        turn: u64,
    ) -> Option<HostId> {
        if self.suspects.is_empty() {
            return choose(candidates, |_| false, outstanding, turn);
        }
        choose(candidates, |host| self.is_suspect(host, now), outstanding, turn)
    }
}

/// Adds what is not there yet.
fn keep_known<K: Hash + Eq, V>(known: &mut HashMap<K, V>, fresh: HashMap<K, V>) {
    if known.is_empty() {
        *known = fresh;
        return;
    }
    for (key, value) in fresh {
        if let hash_map::Entry::Vacant(place) = known.entry(key) {
            place.insert(value);
        }
    }
}
