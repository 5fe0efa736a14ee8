//! The routing snapshot: who runs here and who is linked to what, immutable, replaced as a whole.

mod table;

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap;
use wattle_types::{ActorId, ContractId, LinkDefinition, LinkKey, LinkName};

pub use table::RouteTable;

use crate::{
    actor_table::ActorTable,
    provider::{ProviderSlot, RunningProvider},
    slot::Inside,
};

/// A link and who serves it, if anybody does.
#[derive(Debug, Clone)]
pub(crate) struct LinkRoute {
    pub(crate) link: Arc<LinkDefinition>,
    pub(crate) provider: Option<Arc<ProviderSlot>>,
}

impl LinkRoute {
    /// Enters the provider that serves the link, if it runs here.
    pub(crate) fn enter(&self) -> Option<Inside<RunningProvider>> {
        self.provider.as_deref()?.slot.enter()
    }
}

/// The links: by contract and name, which are few and so at hand, then by actor. A look-up fetches one entry of many.
#[derive(Debug, Default)]
pub(crate) struct LinkRoutes(FxHashMap<ContractId, FxHashMap<LinkName, FxHashMap<ActorId, LinkRoute>>>);

impl LinkRoutes {
    fn find(&self, actor: &ActorId, contract: &str, link_name: &str) -> Option<&LinkRoute> {
        self.0.get(contract)?.get(link_name)?.get(actor)
    }
}

impl FromIterator<LinkRoute> for LinkRoutes {
    fn from_iter<I: IntoIterator<Item = LinkRoute>>(routes: I) -> Self {
        let mut all = Self::default();
        for route in routes {
            let LinkKey { actor, contract, link_name } = route.link.key.clone();
            all.0.entry(contract).or_default().entry(link_name).or_default().insert(actor, route);
        }
        all
    }
}

/// Everything a call needs to find its way.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) actors: ActorTable,
    pub(crate) links: Arc<LinkRoutes>,
    /// Contracts served to every actor that claims them, without a link.
    pub(crate) builtins: Arc<BTreeMap<ContractId, Arc<ProviderSlot>>>,
}

impl Routes {
    /// Returns the link of `actor` for a contract and link name.
    pub(crate) fn link(&self, actor: &ActorId, contract: &str, link_name: &str) -> Option<&LinkRoute> {
        self.links.find(actor, contract, link_name)
    }

    /// Returns the route of a link.
    pub(crate) fn link_by_key(&self, key: &LinkKey) -> Option<&LinkRoute> {
        self.link(&key.actor, key.contract.as_str(), key.link_name.as_str())
    }
}
