//! The actors that run here, by id and by call alias.

use std::sync::Arc;

use wattle_types::ActorId;

use crate::{actor::ActorSlot, sharded::Sharded};

/// Actors. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActorTable {
    by_id: Sharded<ActorId, Arc<ActorSlot>>,
    aliases: Sharded<String, ActorId>,
}

impl ActorTable {
    /// Returns the actor with this id.
    pub(crate) fn get(&self, id: &ActorId) -> Option<&Arc<ActorSlot>> {
        self.by_id.get(id)
    }

    /// Returns the actor with this id or call alias.
    pub(crate) fn find(&self, target: &str) -> Option<&Arc<ActorSlot>> {
        match target.parse() {
            Ok(id) => self.get(&id),
            Err(_) => self.get(self.aliases.get(target)?),
        }
    }

    /// Returns who has a call alias.
    pub(crate) fn holder_of(&self, alias: &str) -> Option<ActorId> {
        self.aliases.get(alias).copied()
    }

    /// Returns all actors, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ActorSlot>> {
        self.by_id.values()
    }

    /// Returns all actors in the order of their ids.
    pub(crate) fn in_order(&self) -> Vec<&Arc<ActorSlot>> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|slot| slot.id);
        all
    }

    /// Puts an actor under an id nobody has.
    pub(crate) fn insert(&mut self, id: ActorId, slot: Arc<ActorSlot>) {
        self.rename(id, None, slot.slot.current().facts.call_alias.as_deref());
        self.by_id.insert(id, slot);
    }

    /// Removes an actor.
    pub(crate) fn remove(&mut self, id: &ActorId) {
        if let Some(slot) = self.by_id.remove(id) {
            self.rename(*id, slot.slot.current().facts.call_alias.as_deref(), None);
        }
    }

    /// Gives an actor the call alias of its new version for that of the old one.
    pub(crate) fn rename(&mut self, id: ActorId, old: Option<&str>, new: Option<&str>) {
        if old == new {
            return;
        }
        if let Some(old) = old
            && self.holder_of(old) == Some(id)
        {
            self.aliases.remove(old);
        }
        if let Some(new) = new {
            self.aliases.insert(new.to_owned(), id);
        }
    }
}
