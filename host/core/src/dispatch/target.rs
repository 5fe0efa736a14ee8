//! Whom a caller means: an actor or a provider, on this host or another.

use std::sync::Arc;

use wattle_lattice::rpc::Target as RemoteTarget;
use wattle_types::{ActorId, ContractId, InvokeError, LinkDefinition, LinkKey, LinkName, ProviderId};

use super::Dispatcher;
use crate::{
    actor::{ActorFacts, ActorSlot},
    routes::{LinkRoute, Routes},
};

/// Whom an actor calls.
pub(super) enum Target {
    Provider(LinkRoute),
    Actor(ActorPlace),
}

/// Where an actor runs.
pub(super) enum ActorPlace {
    Here(Arc<ActorSlot>),
    Elsewhere(ActorId),
}

/// Says that a target does not run here.
pub(super) fn not_here(target: &RemoteTarget) -> InvokeError {
    match target {
        RemoteTarget::Actor { actor, .. } => InvokeError::ActorNotFound { target: actor.to_string() },
        RemoteTarget::Provider { link, provider } => {
            InvokeError::ProviderUnavailable { link: link.clone(), provider: provider.clone() }
        }
    }
}

impl Dispatcher {
    /// Decides whom an actor means: a link first, then a builtin, then another actor's id or call alias.
    pub(super) fn resolve(&self, origin: &ActorFacts, binding: &str, namespace: &str) -> Result<Target, InvokeError> {
        let link_name = if binding.is_empty() { LinkName::DEFAULT } else { binding };
        let routes = self.routes();
        if let Some(route) = routes.link(&origin.id, namespace, link_name) {
            if !origin.claims(namespace) {
                return Err(origin.not_claimed(route.link.key.contract.clone()));
            }
            return Ok(Target::Provider(route.clone()));
        }
        // A contract has a colon, an actor's key or alias never.
        if !namespace.contains(':') {
            drop(routes);
            return self.find_actor(namespace).map(Target::Actor);
        }
        self.resolve_unlinked(&routes, origin, link_name, namespace)
    }

    fn resolve_unlinked(
        &self,
        routes: &Routes,
        origin: &ActorFacts,
        link_name: &str,
        namespace: &str,
    ) -> Result<Target, InvokeError> {
        let cannot_exist = |error| InvokeError::NameInvalid { actor: origin.id, error };
        let contract: ContractId = namespace.parse().map_err(cannot_exist)?;
        if !origin.claims(namespace) {
            return Err(origin.not_claimed(contract));
        }
        let link_name = link_name.parse().map_err(cannot_exist)?;
        let key = LinkKey { actor: origin.id, contract, link_name };
        match routes.builtins.get(&key.contract) {
            Some(slot) => Ok(Target::Provider(LinkRoute {
                link: Arc::new(LinkDefinition { key, provider: slot.id.clone(), values: Default::default() }),
                provider: Some(slot.clone()),
            })),
            None => Err(InvokeError::LinkNotFound { link: key }),
        }
    }

    /// Finds an actor by id or call alias: here, or on another host.
    pub(super) fn find_actor(&self, target: &str) -> Result<ActorPlace, InvokeError> {
        if let Some(slot) = self.routes().actors.find(target) {
            return Ok(ActorPlace::Here(slot.clone()));
        }
        let elsewhere = self.0.node.get().and_then(|node| {
            let id = target.parse().ok().or_else(|| node.directory().actor_by_alias(target))?;
            node.can_reach(&RemoteTarget::Actor { actor: id, link: None }).then_some(id)
        });
        let not_found = || InvokeError::ActorNotFound { target: target.chars().take(128).collect() };
        elsewhere.map(ActorPlace::Elsewhere).ok_or_else(not_found)
    }

    /// Returns the route of a link that leads to `provider`, as this host knows it.
    pub(super) fn route_of(&self, link: &LinkKey, provider: &ProviderId) -> Result<LinkRoute, InvokeError> {
        let routes = self.routes();
        let route = routes.link_by_key(link).filter(|route| route.link.provider == *provider);
        route.cloned().ok_or_else(|| InvokeError::LinkNotFound { link: link.clone() })
    }

    pub(super) fn actor_here(&self, actor: &ActorId) -> Result<Arc<ActorSlot>, InvokeError> {
        let slot = self.routes().actors.get(actor).cloned();
        slot.ok_or_else(|| InvokeError::ActorNotFound { target: actor.to_string() })
    }
}
