//! The routing snapshot: who runs here and who is linked to what, immutable, replaced as a whole.

mod table;

use std::{collections::HashMap, sync::Arc};

use wattle_types::{ActorId, ContractId, LinkDefinition, LinkKey};

pub use table::RouteTable;

use crate::{actor::ActorSlot, provider::ProviderSlot};

/// A link and who serves it, if anybody does.
#[derive(Debug, Clone)]
pub(crate) struct LinkRoute {
    pub(crate) link: Arc<LinkDefinition>,
    pub(crate) provider: Option<Arc<ProviderSlot>>,
}

/// Everything a call needs to find its way.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) actors: HashMap<ActorId, Arc<ActorSlot>>,
    /// Call aliases of running actors.
    pub(crate) aliases: HashMap<String, ActorId>,
    pub(crate) links: HashMap<ActorId, Vec<LinkRoute>>,
    /// Contracts served to every actor that claims them, without a link.
    pub(crate) builtins: HashMap<ContractId, Arc<ProviderSlot>>,
}

impl Routes {
    /// Returns the link of `actor` for a contract and link name.
    pub(crate) fn link(&self, actor: &ActorId, contract: &str, link_name: &str) -> Option<&LinkRoute> {
        self.links.get(actor)?.iter().find(|route| {
            route.link.key.contract.as_str() == contract && route.link.key.link_name.as_str() == link_name
        })
    }

    /// Returns the route of a link.
    pub(crate) fn link_by_key(&self, key: &LinkKey) -> Option<&LinkRoute> {
        self.link(&key.actor, key.contract.as_str(), key.link_name.as_str())
    }

    /// Returns the actor with this id or call alias.
    pub(crate) fn actor(&self, target: &str) -> Option<&Arc<ActorSlot>> {
        match target.parse() {
            Ok(id) => self.actors.get(&id),
            Err(_) => self.actors.get(self.aliases.get(target)?),
        }
    }
}
