//! The routing snapshot: who runs here and who is linked to what, immutable, replaced as a whole.

mod table;

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use rustc_hash::{FxHashMap, FxHasher};
use wattle_types::{ActorId, ContractId, LinkDefinition, LinkKey};

pub use table::RouteTable;

use crate::{actor_table::ActorTable, provider::ProviderSlot};

/// A link and who serves it, if anybody does.
#[derive(Debug, Clone)]
pub(crate) struct LinkRoute {
    pub(crate) link: Arc<LinkDefinition>,
    pub(crate) provider: Option<Arc<ProviderSlot>>,
}

/// The links of one actor. A hash of their names comes before these: to compare texts means to fetch each from memory.
#[derive(Debug, Default)]
pub(crate) struct ActorLinks(Vec<(u64, LinkRoute)>);

impl ActorLinks {
    fn find(&self, contract: &str, link_name: &str) -> Option<&LinkRoute> {
        let hash = hash_names(contract, link_name);
        let mut alike = self.0.iter().filter(|(found, _)| *found == hash).map(|(_, route)| route);
        alike.find(|LinkRoute { link, .. }| {
            link.key.contract.as_str() == contract && link.key.link_name.as_str() == link_name
        })
    }
}

impl FromIterator<LinkRoute> for ActorLinks {
    fn from_iter<I: IntoIterator<Item = LinkRoute>>(routes: I) -> Self {
        let hashed = routes.into_iter().map(|route| {
            let key = &route.link.key;
            (hash_names(key.contract.as_str(), key.link_name.as_str()), route)
        });
        Self(hashed.collect())
    }
}

fn hash_names(contract: &str, link_name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    (contract, link_name).hash(&mut hasher);
    hasher.finish()
}

/// Everything a call needs to find its way.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) actors: ActorTable,
    pub(crate) links: Arc<FxHashMap<ActorId, ActorLinks>>,
    /// Contracts served to every actor that claims them, without a link.
    pub(crate) builtins: Arc<BTreeMap<ContractId, Arc<ProviderSlot>>>,
}

impl Routes {
    /// Returns the link of `actor` for a contract and link name.
    pub(crate) fn link(&self, actor: &ActorId, contract: &str, link_name: &str) -> Option<&LinkRoute> {
        self.links.get(actor)?.find(contract, link_name)
    }

    /// Returns the route of a link.
    pub(crate) fn link_by_key(&self, key: &LinkKey) -> Option<&LinkRoute> {
        self.link(&key.actor, key.contract.as_str(), key.link_name.as_str())
    }
}
