//! Names by which tools of others know actors.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wattle_types::{ActorId, ActorName};

use super::{Component, Extra, NAME};

/// The entry `WATTLE_NAME_{name}`: which actor is meant by the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The actor.
    pub actor: ActorId,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Returns the key of a name's entry.
#[must_use]
pub fn name_key(name: &ActorName) -> String {
    format!("{NAME}{name}")
}

/// Reads a name; the text of a key is none.
pub(super) fn parse(text: &str) -> Result<ActorName, String> {
    match text.parse::<ActorId>() {
        Ok(actor) => Err(format!("{actor} is an actor's id and no name")),
        Err(_) => text.parse().map_err(|error| format!("{error}")),
    }
}

/// All names of a lattice, and which entries have links that mention an end by one.
#[derive(Debug, Default)]
pub(super) struct Names {
    actors: BTreeMap<ActorName, ActorId>,
    /// By actor, its names with the revision of their entries.
    names: BTreeMap<ActorId, BTreeSet<(u64, ActorName)>>,
    revisions: BTreeMap<ActorName, u64>,
    mentions: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// Returns who goes by a name.
    pub(super) fn actor(&self, name: &str) -> Option<ActorId> {
        self.actors.get(name).copied()
    }

    /// Returns the name an actor was given last.
    pub(super) fn name(&self, actor: &ActorId) -> Option<&ActorName> {
        self.names.get(actor)?.last().map(|(_, name)| name)
    }

    /// Returns all names of an actor.
    pub(super) fn all(&self, actor: &ActorId) -> impl Iterator<Item = &ActorName> {
        self.names.get(actor).into_iter().flatten().map(|(_, name)| name)
    }

    /// Gives a name to an actor, or to none.
    pub(super) fn put(&mut self, name: &ActorName, actor: Option<ActorId>, revision: u64) {
        if let Some(before) = self.actors.remove(name)
            && let Some(names) = self.names.get_mut(&before)
        {
            let known = self.revisions.remove(name).unwrap_or_default();
            names.remove(&(known, name.clone()));
            if names.is_empty() {
                self.names.remove(&before);
            }
        }
        if let Some(actor) = actor {
            self.actors.insert(name.clone(), actor);
            self.revisions.insert(name.clone(), revision);
            self.names.entry(actor).or_default().insert((revision, name.clone()));
        }
    }

    /// Notes which names the entry `key` mentions now, instead of before.
    pub(super) fn note(&mut self, key: &str, before: Option<&Component>, after: Option<&Component>) {
        for name in ends(before) {
            if let Some(keys) = self.mentions.get_mut(name) {
                keys.remove(key);
                if keys.is_empty() {
                    self.mentions.remove(name);
                }
            }
        }
        for name in ends(after) {
            self.mentions.entry(name.to_owned()).or_default().insert(key.to_owned());
        }
    }

    /// Returns the keys of the entries that mention a name.
    pub(super) fn mentioning(&self, name: &ActorName) -> Vec<String> {
        self.mentions.get(name.as_str()).into_iter().flatten().cloned().collect()
    }
}

fn ends(component: Option<&Component>) -> impl Iterator<Item = &str> {
    let foreign = component.map_or(&[][..], |component| &component.foreign);
    foreign.iter().flat_map(|link| [link.source_id.as_str(), link.target.as_str()])
}
