//! Putting and deleting links.

use std::sync::Arc;

use serde_json::json;
use wattle_types::{LinkDefinition, LinkKey, Provider};

use super::{
    Host,
    providers::{delete_link, failed, put_link, served},
};
use crate::{error::HostError, links::Put};

impl Host {
    /// Puts a link: the provider, if it runs, accepts it first; then calls may use it.
    ///
    /// A link whose provider does not run is kept, and given to the provider when it starts. `replace` lets the link
    /// move from another provider, which then forgets it.
    ///
    /// # Errors
    /// Why it is refused; the links are then as before.
    pub async fn put_link(&self, link: LinkDefinition, replace: bool) -> Result<(), HostError> {
        let result = self.try_put_link(Arc::new(link.clone()), replace).await;
        let (name, error) = match &result {
            Ok(()) => ("linkdef_set", None),
            Err(error) => ("linkdef_set_failed", Some(error.to_string())),
        };
        self.0.events.announce(name, link_event(&link.key, Some(link.provider.as_str()), error));
        result
    }

    async fn try_put_link(&self, link: Arc<LinkDefinition>, replace: bool) -> Result<(), HostError> {
        // Always in this order: the actor's links, then the provider.
        let _links = self.0.locks.lock(format!("links {}", link.key.actor)).await;
        let _provider = self.0.locks.lock(format!("provider {}", link.provider)).await;
        self.check_claimed(&link.key)?;
        let plan = self.state().links.plan_put(&link, replace)?;
        if plan == Put::Unchanged {
            return Ok(());
        }
        if let Ok(slot) = self.provider_slot(&link.provider) {
            let running = slot.slot.current();
            check_served(&link, running.provider.as_ref())?;
            put_link(running.provider.as_ref(), link.clone()).await.map_err(|error| failed(&link.provider, error))?;
        }
        let key = link.key.clone();
        self.change_open(|state| {
            state.links.put(link);
            Ok(())
        })?;
        if let Put::Move { from } = plan
            && let Ok(slot) = self.provider_slot(&from)
        {
            delete_link(slot.slot.current().provider.as_ref(), &key).await;
        }
        Ok(())
    }

    /// Deletes a link: calls over it are refused from now on.
    ///
    /// # Errors
    /// [`crate::LinkError::NotFound`].
    pub async fn delete_link(&self, key: &LinkKey) -> Result<(), HostError> {
        let _links = self.0.locks.lock(format!("links {}", key.actor)).await;
        let link = self.change(|state| state.links.delete(key))?;
        let _provider = self.0.locks.lock(format!("provider {}", link.provider)).await;
        if let Ok(slot) = self.provider_slot(&link.provider) {
            delete_link(slot.slot.current().provider.as_ref(), key).await;
        }
        self.0.events.announce("linkdef_deleted", link_event(key, None, None));
        Ok(())
    }

    /// Returns all links, ordered by actor, contract and name.
    #[must_use]
    pub fn links(&self) -> Vec<Arc<LinkDefinition>> {
        self.state().links.all().cloned().collect()
    }

    /// Refuses a link that a running actor's claims do not cover. An actor that does not run yet is checked when
    /// called.
    fn check_claimed(&self, key: &LinkKey) -> Result<(), HostError> {
        let Ok(slot) = self.actor_slot(key.actor) else { return Ok(()) };
        let facts = &slot.slot.current().facts;
        if facts.claims(key.contract.as_str()) {
            return Ok(());
        }
        let (actor, contract, claimed) = (key.actor, key.contract.clone(), facts.claimed());
        Err(HostError::CapabilityNotClaimed { actor, contract, claimed })
    }
}

fn check_served(link: &LinkDefinition, provider: &dyn Provider) -> Result<(), HostError> {
    if provider.contracts().contains(&link.key.contract) {
        return Ok(());
    }
    Err(HostError::ContractNotServed {
        provider: link.provider.clone(),
        contract: link.key.contract.clone(),
        served: served(provider),
    })
}

/// Writes a link the way the control interface's events do. Values may be secret: they are not told.
fn link_event(key: &LinkKey, target: Option<&str>, error: Option<String>) -> serde_json::Value {
    let contract = key.contract.as_str();
    let (namespace, package) = contract.split_once(':').unwrap_or(("", contract));
    let mut event = json!({
        "source_id": key.actor, "name": key.link_name, "wit_namespace": namespace, "wit_package": package,
        "interfaces": [package],
    });
    if let Some(fields) = event.as_object_mut() {
        fields.extend(target.map(|target| ("target".to_owned(), target.into())));
        fields.extend(error.map(|error| ("error".to_owned(), error.into())));
    }
    event
}
