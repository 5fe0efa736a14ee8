//! Routes of any size, to measure how long looking in them takes.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use wattle_types::{ActorId, LinkDefinition};

use super::{LinkRoute, Routes};
use crate::host::Host;

/// The routing snapshot as calls see it, with as many entries as somebody wants to measure. Calls nobody.
pub struct RouteTable(ArcSwap<Routes>);

impl RouteTable {
    /// Makes a table in which every one of `actors` is the first actor that runs on `host`, linked by `links`.
    #[must_use]
    pub fn like(host: &Host, actors: &[ActorId], links: &[LinkDefinition]) -> Self {
        let slot = host.state().actors.iter().next().cloned();
        let links = links.iter().map(|link| LinkRoute { link: Arc::new(link.clone()), provider: None });
        let mut routes = Routes { links: Arc::new(links.collect()), ..Routes::default() };
        for (actor, slot) in actors.iter().zip(slot.iter().cycle()) {
            routes.actors.insert(*actor, slot.clone());
        }
        Self(ArcSwap::from_pointee(routes))
    }

    /// Returns whether the actor has this link.
    #[must_use]
    pub fn finds_link(&self, actor: &ActorId, contract: &str, link_name: &str) -> bool {
        self.0.load().link(actor, contract, link_name).is_some()
    }

    /// Returns whether an actor of this id or call alias is here.
    #[must_use]
    pub fn finds_actor(&self, target: &str) -> bool {
        self.0.load().actors.find(target).is_some()
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTable").field("actors", &self.0.load().actors.iter().count()).finish_non_exhaustive()
    }
}
