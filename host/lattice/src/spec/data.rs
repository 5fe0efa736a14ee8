//! One host's copy of the lattice's buckets, kept by watching them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use wattle_bus::{KvEntry, KvEvent};
use wattle_types::{ActorId, ActorName, LinkKey, ProviderId, control::Link};

use super::{
    ACTOR, CLAIMS, COMPONENT, Claims, Component, DeclaredActor, DeclaredProvider, Entry, LEADER_KEY, LinkSpec,
    PROVIDER, ROLLOUT, Resolved, Target, Versions, declared_target, name::Names, parse, resolve,
};
use crate::{leader::Lease, rollout::Rollout};

/// Most entries of a bucket that are kept: what is beyond them is told of and left out.
const ENTRIES_MAX: usize = 200_000;

/// One of the two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// [`lattice_bucket`](super::lattice_bucket).
    Lattice,
    /// [`config_bucket`](super::config_bucket).
    Config,
}

/// What an event changed. What it is now is to be looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// A link was put, or is gone.
    Link(LinkKey),
    /// The claims of this key.
    Claims(String),
    /// What is declared to run.
    Declared(Target),
    /// The lease.
    Lease,
    /// A rollout.
    Rollout(Target),
    /// The named configuration. See [`LatticeData::links_with`] for whom it matters to.
    Config(String),
    /// An entry is broken; what it said before still holds.
    Poisoned {
        /// Its key.
        key: String,
        /// Why, for people.
        why: String,
    },
}

#[derive(Debug)]
struct Stored {
    value: Bytes,
    revision: u64,
    /// What holds: the last that could be read.
    entry: Arc<Entry>,
    /// It was told since the last reset.
    is_told: bool,
    /// The store has lost it since it was told.
    is_lost: bool,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<String, Stored>,
    is_caught_up: bool,
}

/// A copy of both buckets.
#[derive(Debug, Default)]
pub struct LatticeData {
    lattice: Table,
    config: Table,
    /// The links of all entries, by the key of their entry.
    links: BTreeMap<LinkKey, BTreeMap<String, Arc<LinkSpec>>>,
    /// Who goes by which name.
    names: Names,
    /// The revision of the lease's deletion.
    lease_gone: u64,
}

impl LatticeData {
    /// Takes in what the watch of a bucket told.
    ///
    /// After [`KvEvent::Reset`] everything stays until [`KvEvent::CaughtUp`]; then what was not told again is
    /// deleted. What a store has lost was not deleted by anybody: it stays, and is to be written back
    /// ([`LatticeData::lost`]).
    pub fn apply(&mut self, bucket: Bucket, event: KvEvent) -> Vec<Changed> {
        match event {
            KvEvent::Put(entry) => self.put(bucket, entry),
            KvEvent::Delete { key, revision } => {
                if (bucket, key.as_str()) == (Bucket::Lattice, LEADER_KEY) {
                    self.lease_gone = revision;
                }
                let known = self.table(bucket).entries.get(&key);
                let is_newer = known.is_some_and(|stored| stored.revision <= revision || !stored.is_told);
                if is_newer { self.remove(bucket, &key) } else { Vec::new() }
            }
            KvEvent::Reset { lost } => {
                if bucket == Bucket::Lattice {
                    self.lease_gone = 0;
                }
                let table = self.table_mut(bucket);
                table.is_caught_up = false;
                for (key, stored) in &mut table.entries {
                    stored.is_told = false;
                    // A lease is nobody's to write but its holder's.
                    stored.is_lost |= lost && key != LEADER_KEY;
                }
                Vec::new()
            }
            KvEvent::CaughtUp => {
                let table = self.table_mut(bucket);
                table.is_caught_up = true;
                let is_gone = |stored: &Stored| !stored.is_told && !stored.is_lost;
                let gone = table.entries.iter().filter(|(_, stored)| is_gone(stored)).map(|(key, _)| key.clone());
                let gone: Vec<_> = gone.collect();
                gone.iter().flat_map(|key| self.remove(bucket, key)).collect()
            }
        }
    }

    /// Returns whether both buckets have been told whole. Before that, what is not there may only not be known yet.
    #[must_use]
    pub const fn is_caught_up(&self) -> bool {
        self.lattice.is_caught_up && self.config.is_caught_up
    }

    fn put(&mut self, bucket: Bucket, told: KvEntry) -> Vec<Changed> {
        let table = self.table_mut(bucket);
        if table.entries.len() >= ENTRIES_MAX && !table.entries.contains_key(&told.key) {
            return vec![Changed::Poisoned { key: told.key, why: format!("there are {ENTRIES_MAX} entries already") }];
        }
        let known = table.entries.get_mut(&told.key);
        let mut before = None;
        if let Some(stored) = known {
            if stored.is_told && told.revision < stored.revision {
                return Vec::new();
            }
            (stored.revision, stored.is_told, stored.is_lost) = (told.revision, true, false);
            if stored.value == told.value {
                return Vec::new();
            }
            before = Some(stored.entry.clone());
        }
        let mut changed = Vec::new();
        let entry = match parse(bucket, &told.key, &told.value) {
            Entry::Poisoned { why } => {
                changed.push(Changed::Poisoned { key: told.key.clone(), why: why.clone() });
                before.clone().unwrap_or_else(|| Arc::new(Entry::Poisoned { why }))
            }
            entry => Arc::new(entry),
        };
        let (value, revision) = (told.value, told.revision);
        let stored = Stored { value, revision, entry: entry.clone(), is_told: true, is_lost: false };
        self.table_mut(bucket).entries.insert(told.key.clone(), stored);
        changed.extend(self.replace(&told.key, before.as_deref(), Some(&entry), revision));
        changed
    }

    fn remove(&mut self, bucket: Bucket, key: &str) -> Vec<Changed> {
        let Some(stored) = self.table_mut(bucket).entries.remove(key) else { return Vec::new() };
        self.replace(key, Some(&stored.entry), None, stored.revision)
    }

    /// Keeps the indexes of links and names, and tells what is different.
    fn replace(&mut self, key: &str, before: Option<&Entry>, after: Option<&Entry>, revision: u64) -> Vec<Changed> {
        if before == after {
            return Vec::new();
        }
        let name = [before, after].into_iter().flatten().find_map(|entry| match entry {
            Entry::Name(name, _) => Some(name),
            _ => None,
        });
        let mut changed = match name {
            Some(name) => self.replace_name(name, after, revision),
            None => {
                let (before, after) = (component(before), component(after));
                let old = self.links_in(before);
                self.names.note(key, before, after);
                let new = self.links_in(after);
                self.replace_links(key, old, new)
            }
        };
        changed.extend(after.or(before).and_then(|entry| describe(key, entry)));
        changed
    }

    /// Has a name mean what its entry says now, in all links that mention it.
    fn replace_name(&mut self, name: &ActorName, after: Option<&Entry>, revision: u64) -> Vec<Changed> {
        let entries = self.names.mentioning(name).into_iter().filter_map(|key| {
            let entry = self.lattice.entries.get(&key)?.entry.clone();
            Some((key, self.links_in(component(Some(&*entry))), entry))
        });
        let entries = entries.collect::<Vec<_>>();
        let actor = match after {
            Some(Entry::Name(_, named)) => Some(named.actor),
            _ => None,
        };
        self.names.put(name, actor, revision);
        let mut changed = Vec::new();
        for (key, old, entry) in entries {
            let new = self.links_in(component(Some(&*entry)));
            changed.extend(self.replace_links(&key, old, new));
        }
        changed
    }

    /// Returns the links of an entry that join an actor and a provider.
    fn links_in(&self, component: Option<&Component>) -> Vec<LinkSpec> {
        let Some(component) = component else { return Vec::new() };
        let named = component.foreign.iter();
        let named = named.filter_map(|link| LinkSpec::from_wire_named(link, |name| self.names.actor(name)));
        component.links.iter().cloned().chain(named).collect()
    }

    fn replace_links(&mut self, key: &str, old: Vec<LinkSpec>, new: Vec<LinkSpec>) -> Vec<Changed> {
        let keys: BTreeSet<LinkKey> = old.iter().chain(&new).map(|link| link.definition.key.clone()).collect();
        let was: Vec<_> = keys.iter().map(|key| self.link(key).cloned()).collect();
        for link in old {
            if let Some(places) = self.links.get_mut(&link.definition.key) {
                places.remove(key);
            }
        }
        // Of several in one entry the first holds.
        for link in new.into_iter().rev() {
            self.links.entry(link.definition.key.clone()).or_default().insert(key.to_owned(), Arc::new(link));
        }
        let moved = keys.iter().zip(was).filter(|(key, was)| self.link(key) != was.as_ref());
        let changed = moved.map(|(key, _)| Changed::Link(key.clone())).collect();
        for key in keys {
            if self.links.get(&key).is_some_and(BTreeMap::is_empty) {
                self.links.remove(&key);
            }
        }
        changed
    }

    const fn table(&self, bucket: Bucket) -> &Table {
        match bucket {
            Bucket::Lattice => &self.lattice,
            Bucket::Config => &self.config,
        }
    }

    const fn table_mut(&mut self, bucket: Bucket) -> &mut Table {
        match bucket {
            Bucket::Lattice => &mut self.lattice,
            Bucket::Config => &mut self.config,
        }
    }

    /// Returns the bytes and revision of an entry, to edit it from.
    #[must_use]
    pub fn stored(&self, bucket: Bucket, key: &str) -> Option<(&Bytes, u64)> {
        self.table(bucket).entries.get(key).map(|stored| (&stored.value, stored.revision))
    }

    /// Returns the revision of an entry.
    #[must_use]
    pub fn revision_of(&self, bucket: Bucket, key: &str) -> Option<u64> {
        self.stored(bucket, key).map(|(_, revision)| revision)
    }

    /// Returns what the store has lost, by key: it is to be written back where there is nothing.
    #[must_use]
    pub fn lost(&self, bucket: Bucket) -> Vec<String> {
        let lost = self.table(bucket).entries.iter().filter(|(_, stored)| stored.is_lost);
        lost.map(|(key, _)| key.clone()).collect()
    }

    /// Returns an entry that the store has lost.
    #[must_use]
    pub fn lost_entry(&self, bucket: Bucket, key: &str) -> Option<&Bytes> {
        self.table(bucket).entries.get(key).filter(|stored| stored.is_lost).map(|stored| &stored.value)
    }

    /// Returns the link that holds for a key: the one stored with the actor before one stored with a provider.
    #[must_use]
    pub fn link(&self, key: &LinkKey) -> Option<&Arc<LinkSpec>> {
        let places = self.links.get(key)?;
        places.values().find(|link| !link.provider_is_source).or_else(|| places.values().next())
    }

    /// Returns all links that hold.
    pub fn links(&self) -> impl Iterator<Item = &Arc<LinkSpec>> {
        self.links.keys().filter_map(|key| self.link(key))
    }

    /// Returns all links as the control interface shows them, those of other kinds included.
    #[must_use]
    pub fn links_on_wire(&self) -> Vec<Link> {
        let components = self.range(COMPONENT).filter_map(|entry| match entry {
            Entry::Component(component) => Some(component),
            _ => None,
        });
        components
            .flat_map(|component| {
                component.links.iter().map(LinkSpec::to_wire).chain(component.foreign.iter().cloned())
            })
            .collect()
    }

    /// Returns who goes by a name.
    #[must_use]
    pub fn actor_named(&self, name: &str) -> Option<ActorId> {
        self.names.actor(name)
    }

    /// Returns the name an actor goes by: the last it was given.
    #[must_use]
    pub fn name_of(&self, actor: &ActorId) -> Option<&ActorName> {
        self.names.name(actor)
    }

    /// Returns the name and all former ones that are not taken away yet.
    pub(crate) fn names_of(&self, actor: &ActorId) -> impl Iterator<Item = &ActorName> {
        self.names.all(actor)
    }

    /// Returns what other entries than its own hold for a link's key: the entry's key, and the provider it names.
    ///
    /// A put that is to leave one link must take it out of these too; one that may not replace must be refused if the
    /// provider is another.
    #[must_use]
    pub fn elsewhere(&self, link: &LinkSpec) -> Vec<(String, ProviderId)> {
        let own = link.entry_key();
        let places = self.links.get(&link.definition.key).into_iter().flatten().filter(|(key, _)| **key != own);
        places.map(|(key, other)| (key.clone(), other.definition.provider.clone())).collect()
    }

    /// Returns the keys of all entries that hold a link: those to take it out of.
    #[must_use]
    pub fn entries_of(&self, key: &LinkKey) -> Vec<String> {
        self.links.get(key).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// Returns the links that use a named configuration.
    #[must_use]
    pub fn links_with(&self, config: &str) -> Vec<LinkKey> {
        let using = self.links().filter(|link| link.configs.iter().any(|name| name == config));
        using.map(|link| link.definition.key.clone()).collect()
    }

    /// Looks up a link's configurations.
    #[must_use]
    pub fn resolve(&self, link: &LinkSpec) -> Resolved {
        resolve(link, |name| self.config(name))
    }

    /// Returns a named configuration.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        match &*self.config.entries.get(name)?.entry {
            Entry::Config(config) => Some(config),
            _ => None,
        }
    }

    /// Returns all claims.
    pub fn claims(&self) -> impl Iterator<Item = &Claims> {
        self.range(CLAIMS).filter_map(|entry| match entry {
            Entry::Claims(claims) => Some(claims),
            _ => None,
        })
    }

    /// Returns all actors that are declared.
    pub fn actors(&self) -> impl Iterator<Item = (&ActorId, &DeclaredActor)> {
        self.range(ACTOR).filter_map(|entry| match entry {
            Entry::Actor(id, declared) => Some((id, declared)),
            _ => None,
        })
    }

    /// Returns all providers that are declared.
    pub fn providers(&self) -> impl Iterator<Item = (&ProviderId, &DeclaredProvider)> {
        self.range(PROVIDER).filter_map(|entry| match entry {
            Entry::Provider(id, declared) => Some((id, declared)),
            _ => None,
        })
    }

    /// Returns an actor's declaration.
    #[must_use]
    pub fn actor(&self, id: &ActorId) -> Option<&DeclaredActor> {
        match self.entry(&Target::Actor(*id).declared_key())? {
            Entry::Actor(_, declared) => Some(declared),
            _ => None,
        }
    }

    /// Returns a provider's declaration.
    #[must_use]
    pub fn provider(&self, id: &ProviderId) -> Option<&DeclaredProvider> {
        match self.entry(&Target::Provider(id.clone()).declared_key())? {
            Entry::Provider(_, declared) => Some(declared),
            _ => None,
        }
    }

    /// Returns what is declared of an actor or provider.
    #[must_use]
    pub fn declared(&self, target: &Target) -> Option<Versions<'_>> {
        match target {
            Target::Actor(id) => self.actor(id).map(DeclaredActor::versions),
            Target::Provider(id) => self.provider(id).map(DeclaredProvider::versions),
        }
    }

    /// Returns what has a declaration nobody can read: it is to be left as it is.
    #[must_use]
    pub fn unreadable(&self) -> BTreeSet<Target> {
        let entries = self.lattice.entries.iter();
        let broken = entries.filter(|(_, stored)| matches!(*stored.entry, Entry::Poisoned { .. }));
        broken.filter_map(|(key, _)| declared_target(key)).collect()
    }

    /// Returns all rollouts, finished ones included.
    pub fn rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.range(ROLLOUT).filter_map(|entry| match entry {
            Entry::Rollout(rollout) => Some(rollout),
            _ => None,
        })
    }

    /// Returns the last rollout of an actor or provider.
    #[must_use]
    pub fn rollout(&self, target: &Target) -> Option<&Rollout> {
        match self.entry(&target.rollout_key())? {
            Entry::Rollout(rollout) => Some(rollout),
            _ => None,
        }
    }

    /// Returns the lease.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        match self.entry(LEADER_KEY)? {
            Entry::Lease(lease) => Some(lease),
            _ => None,
        }
    }

    /// Returns the revision of the lease, or of its deletion; 0 if there is neither.
    #[must_use]
    pub fn lease_revision(&self) -> u64 {
        self.revision_of(Bucket::Lattice, LEADER_KEY).unwrap_or(self.lease_gone)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.lattice.entries.get(key).map(|stored| &*stored.entry)
    }

    fn range(&self, prefix: &'static str) -> impl Iterator<Item = &Entry> {
        let from = self.lattice.entries.range(prefix.to_owned()..);
        from.take_while(move |(key, _)| key.starts_with(prefix)).map(|(_, stored)| &*stored.entry)
    }
}

fn component(entry: Option<&Entry>) -> Option<&Component> {
    match entry {
        Some(Entry::Component(component)) => Some(component),
        _ => None,
    }
}

/// What a change of this entry is called; links are told one by one.
fn describe(key: &str, entry: &Entry) -> Option<Changed> {
    match entry {
        Entry::Component(_) | Entry::Name(..) | Entry::Ignored | Entry::Poisoned { .. } => None,
        Entry::Claims(claims) => Some(Changed::Claims(claims.subject.clone())),
        Entry::Actor(id, _) => Some(Changed::Declared(Target::Actor(*id))),
        Entry::Provider(id, _) => Some(Changed::Declared(Target::Provider(id.clone()))),
        Entry::Lease(_) => Some(Changed::Lease),
        Entry::Rollout(rollout) => Some(Changed::Rollout(rollout.target.clone())),
        Entry::Config(_) => Some(Changed::Config(key.to_owned())),
    }
}
