//! What a host runs and keeps: the one place it is changed, from which the routes are made.

use std::{collections::BTreeMap, sync::Arc};

use wattle_types::{ActorId, ContractId, ProviderId};

use crate::{
    actor::{ActorFacts, ActorSlot},
    links::LinkTable,
    provider::ProviderSlot,
    routes::{LinkRoute, Routes},
};

/// Actors, providers and links.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) actors: BTreeMap<ActorId, Arc<ActorSlot>>,
    pub(crate) providers: BTreeMap<ProviderId, Arc<ProviderSlot>>,
    pub(crate) builtins: BTreeMap<ContractId, Arc<ProviderSlot>>,
    pub(crate) links: LinkTable,
    /// Set when the host begins to stop: nothing is added or replaced any more.
    pub(crate) closing: bool,
    /// Set when what is declared is to be moved away: nothing new comes, what is there still serves.
    pub(crate) leaving: bool,
    /// How many providers have ever been started.
    pub(crate) providers_started: u64,
}

impl State {
    /// Makes the routing snapshot of this state.
    pub(crate) fn routes(&self) -> Routes {
        let links = self.links.by_actor().into_iter().map(|(actor, links)| {
            let routes = links.into_iter().map(|link| {
                let provider = self.providers.get(&link.provider).cloned();
                LinkRoute { link, provider }
            });
            (actor, routes.collect())
        });
        let aliases = self.actors.values().filter_map(|actor| {
            let alias = actor.slot.current().facts.call_alias.clone()?;
            Some((alias, actor.id))
        });
        Routes {
            links: links.collect(),
            aliases: aliases.collect(),
            actors: self.actors.iter().map(|(id, slot)| (*id, slot.clone())).collect(),
            builtins: self.builtins.iter().map(|(id, slot)| (id.clone(), slot.clone())).collect(),
        }
    }

    /// Returns the actor that has the call alias these claims ask for.
    pub(crate) fn holder_of(&self, facts: &ActorFacts) -> Option<ActorId> {
        let alias = facts.call_alias.as_deref()?;
        let has_it = |actor: &&Arc<ActorSlot>| actor.slot.current().facts.call_alias.as_deref() == Some(alias);
        self.actors.values().find(has_it).map(|actor| actor.id)
    }
}
