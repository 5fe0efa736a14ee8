//! What a host runs and keeps: the one place it is changed, from which the routes are made.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use wattle_types::{ActorId, ContractId, ProviderId};

use crate::{
    actor::ActorFacts,
    actor_table::ActorTable,
    links::LinkTable,
    provider::ProviderSlot,
    routes::{LinkRoute, LinkRoutes, Routes},
};

/// Actors, providers and links.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) actors: ActorTable,
    pub(crate) providers: Watched<BTreeMap<ProviderId, Arc<ProviderSlot>>>,
    pub(crate) builtins: Watched<BTreeMap<ContractId, Arc<ProviderSlot>>>,
    pub(crate) links: Watched<LinkTable>,
    /// Set when the host begins to stop: nothing is added or replaced any more.
    pub(crate) closing: bool,
    /// Set when what is declared is to be moved away: nothing new comes, what is there still serves.
    pub(crate) leaving: bool,
    /// How many providers have ever been started.
    pub(crate) providers_started: u64,
}

impl State {
    /// Makes the routing snapshot of this state: of `before`, the last one, what has not changed since.
    pub(crate) fn routes(&mut self, before: &Routes) -> Routes {
        // Both are asked: each answer counts from the last time.
        let links_changed = [self.links.has_changed(), self.providers.has_changed()].contains(&true);
        Routes {
            actors: self.actors.clone(),
            links: if links_changed { Arc::new(self.link_routes()) } else { before.links.clone() },
            builtins: if self.builtins.has_changed() {
                Arc::new(self.builtins.clone())
            } else {
                before.builtins.clone()
            },
        }
    }

    fn link_routes(&self) -> LinkRoutes {
        let routes = self.links.all().map(|link| {
            let provider = self.providers.get(&link.provider).cloned();
            LinkRoute { link: link.clone(), provider }
        });
        routes.collect()
    }

    /// Returns the actor that has the call alias these claims ask for.
    pub(crate) fn holder_of(&self, facts: &ActorFacts) -> Option<ActorId> {
        self.actors.holder_of(facts.call_alias.as_deref()?)
    }
}

/// Something that knows whether anybody may have changed it.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: T,
    changed: bool,
}

impl<T> Watched<T> {
    /// Returns whether it may have changed since this was asked last.
    fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Watched<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use wattle_types::{
        LinkDefinition, LinkKey,
        wascap::{KeyKind, KeyPair},
    };

    use super::*;

    #[test]
    fn routes_of_links_are_made_anew_when_links_or_providers_may_have_changed() {
        let actor = KeyPair::generate(KeyKind::Module).unwrap().public_key().try_into().unwrap();
        let key =
            LinkKey { actor, contract: "wasmcloud:keyvalue".parse().unwrap(), link_name: "default".parse().unwrap() };
        let link = LinkDefinition { key: key.clone(), provider: "store".parse().unwrap(), values: Default::default() };
        let mut state = State::default();
        let none = state.routes(&Routes::default());
        assert!(none.link_by_key(&key).is_none());
        state.links.put(Arc::new(link));
        let one = state.routes(&none);
        assert!(one.link_by_key(&key).is_some());
        let same = state.routes(&one);
        assert!(Arc::ptr_eq(&same.links, &one.links) && Arc::ptr_eq(&same.builtins, &one.builtins));
        state.providers.clear();
        assert!(!Arc::ptr_eq(&state.routes(&same).links, &same.links));
        state.links.delete(&key).unwrap();
        assert!(state.routes(&same).link_by_key(&key).is_none());
    }
}
