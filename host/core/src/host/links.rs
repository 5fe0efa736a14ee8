//! Putting and deleting links.
//!
//! In a lattice its shared state is the truth, and [`Host::sync_links`] brings this host to it: after a put of its own,
//! and whenever the state changes. A host without a lattice keeps its links by itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use serde_json::json;
use wattle_bus::watch;
use wattle_lattice::{
    node::SharedError,
    spec::{self, Bucket, EditError, LatticeData, LinkSpec, component_key},
};
use wattle_types::{LinkDefinition, LinkKey, Provider, ProviderError, ProviderId, control::Link};

use super::{
    Host,
    providers::{delete_link, failed, put_link, served},
};
use crate::{
    configs::ConfigError,
    error::HostError,
    links::{LinkError, Put},
    provider::ProviderSlot,
};

/// Links that are given to providers at the same time, so that a slow one does not hold the others up.
const OFFERED_MAX: usize = 32;
/// How long a link of the lattice waits for whoever changes its provider. It is tried again later.
const PROVIDER_PATIENCE: Duration = Duration::from_secs(2);

impl Host {
    /// Puts a link: the provider, if it runs here, accepts it first; then calls may use it.
    ///
    /// A link whose provider does not run is kept, and given to the provider when it starts. `replace` lets the link
    /// move from another provider, which then forgets it. In a lattice the link is every host's.
    ///
    /// # Errors
    /// Why it is refused; the links are then as before.
    pub async fn put_link(&self, link: LinkDefinition, replace: bool) -> Result<(), HostError> {
        self.put_link_spec(LinkSpec::new(link), replace).await
    }

    /// Puts a link that may name configurations of the lattice.
    pub(crate) async fn put_link_spec(&self, spec: LinkSpec, replace: bool) -> Result<(), HostError> {
        let result = self.try_put_link(&spec, replace).await;
        let (name, error) = match &result {
            Ok(()) => ("linkdef_set", None),
            Err(error) => ("linkdef_set_failed", Some(error.to_string())),
        };
        self.0.events.announce(name, link_event(&spec.to_wire(), error));
        result
    }

    /// Keeps a link that does not join an actor and a provider, as far as the lattice knows: for others, and for when
    /// it knows an end of it by its name.
    ///
    /// # Errors
    /// [`HostError::NoLattice`], or why the lattice's shared state does not take it.
    pub(crate) async fn put_wire_link(&self, link: &Link) -> Result<(), HostError> {
        let node = self.lattice()?;
        let edit = |current: Option<&[u8]>| spec::put_wire(current, link, false);
        let written = node.shared().edit(Bucket::Lattice, &component_key(&link.source_id), edit).await;
        let (name, error) = match &written {
            Ok(_) => ("linkdef_set", None),
            Err(error) => ("linkdef_set_failed", Some(error.to_string())),
        };
        self.0.events.announce(name, link_event(link, error));
        Ok(written.map(drop)?)
    }

    async fn try_put_link(&self, spec: &LinkSpec, replace: bool) -> Result<(), HostError> {
        let link = Arc::new(self.resolve(spec)?);
        // Always in this order: the actor's links, then the provider.
        let _links = self.0.locks.lock(format!("links {}", link.key.actor)).await;
        self.check_accepting()?;
        self.check_claimed(&link.key)?;
        let plan = self.state().links.plan_put(&link, replace)?;
        if plan == Put::Unchanged && self.0.node.is_none() {
            return Ok(());
        }
        self.offer_link(&link).await?;
        let Some(node) = &self.0.node else { return self.take_link(link).await };
        match node.shared().put_link(spec, replace).await.map_err(|error| conflict(error, spec)) {
            Ok(()) => self.take_stored(&link.key).await,
            Err(error) => {
                self.restore_link(&link).await;
                Err(error)
            }
        }
    }

    /// Looks up the configurations a link names.
    fn resolve(&self, spec: &LinkSpec) -> Result<LinkDefinition, HostError> {
        let Some(node) = &self.0.node else { return Ok(spec.definition.clone()) };
        let resolved = node.shared().read(|data| data.resolve(spec));
        match resolved.missing.first() {
            Some(missing) => Err(ConfigError::NotFound(missing.clone()).into()),
            None => Ok(resolved.definition),
        }
    }

    /// Has the provider, if it runs here, accept a link that calls do not use yet.
    async fn offer_link(&self, link: &Arc<LinkDefinition>) -> Result<(), HostError> {
        let _provider = self.0.locks.lock(format!("provider {}", link.provider)).await;
        let Ok(slot) = self.provider_slot(&link.provider) else { return Ok(()) };
        check_served(link, slot.slot.current().provider.as_ref())?;
        let Err(error) = give_link(&slot, link).await else { return Ok(()) };
        self.give_back(&slot, &link.key).await;
        Err(failed(&link.provider, error))
    }

    /// Gives a provider back what held before a link was offered to it in vain.
    async fn restore_link(&self, offered: &LinkDefinition) {
        let _provider = self.0.locks.lock(format!("provider {}", offered.provider)).await;
        if let Ok(slot) = self.provider_slot(&offered.provider) {
            self.give_back(&slot, &offered.key).await;
        }
    }

    async fn give_back(&self, slot: &ProviderSlot, key: &LinkKey) {
        let before = self.state().links.get(key).filter(|link| link.provider == slot.id);
        match before {
            Some(link) => {
                if let Err(error) = give_link(slot, &link).await {
                    tracing::warn!(?key, %error, "a link could not be given back to its provider; it is tried again");
                }
            }
            None => take_back(slot, key).await,
        }
    }

    /// Makes calls use what the shared state has for a link, if it has one.
    async fn take_stored(&self, key: &LinkKey) -> Result<(), HostError> {
        match self.stored_link(key) {
            Some(link) => self.take_link(link).await,
            None => Ok(()),
        }
    }

    /// Returns what the shared state has for a link, when all its configurations are there.
    fn stored_link(&self, key: &LinkKey) -> Option<Arc<LinkDefinition>> {
        let shared = self.node()?.shared();
        shared.read(|data| {
            let resolved = data.resolve(data.link(key)?);
            resolved.missing.is_empty().then(|| Arc::new(resolved.definition))
        })
    }

    /// Makes calls use a link, which its provider has accepted or is to be given when it can take it.
    async fn take_link(&self, link: Arc<LinkDefinition>) -> Result<(), HostError> {
        let from = {
            let lock = self.0.locks.lock(format!("provider {}", link.provider));
            let provider = tokio::time::timeout(PROVIDER_PATIENCE, lock).await.ok();
            let is_outdated = || self.node().is_some() && self.stored_link(&link.key).as_ref() != Some(&link);
            if is_outdated() {
                // It was changed while this waited; whoever applies the change has the newer one.
                return Ok(());
            }
            if let Ok(slot) = self.provider_slot(&link.provider) {
                let given = match &provider {
                    Some(_) => give_link(&slot, &link).await,
                    None if slot.has(&link) => Ok(()),
                    None => Err(ProviderError::BackendUnavailable("it is busy with other changes".into())),
                };
                if is_outdated() {
                    self.give_back(&slot, &link.key).await;
                    return Ok(());
                }
                if let Err(error) = given {
                    self.not_accepted(&slot, &link, &error);
                }
            }
            let before = self.state().links.get(&link.key);
            self.change_open(|state| {
                state.links.put(link.clone());
                Ok(())
            })?;
            before.map(|before| before.provider.clone()).filter(|before| *before != link.provider)
        };
        if let Some(from) = from {
            self.forget_link(&from, &link.key).await;
        }
        Ok(())
    }

    /// Tells that a provider does not accept a link, which is tried again.
    fn not_accepted(&self, slot: &ProviderSlot, link: &LinkDefinition, error: &ProviderError) {
        tracing::warn!(provider = %slot.id, link = ?link.key, %error, "a link is not accepted; it is tried again");
        let event = link_event(&self.on_wire(link), Some(error.to_string()));
        self.0.events.announce("linkdef_set_failed", event);
    }

    /// Has a provider forget a link, unless it has been given it again.
    async fn forget_link(&self, provider: &ProviderId, key: &LinkKey) {
        let _provider = self.0.locks.lock(format!("provider {provider}")).await;
        let leads_there = self.state().links.get(key).is_some_and(|link| link.provider == *provider);
        if let Ok(slot) = self.provider_slot(provider)
            && !leads_there
        {
            take_back(&slot, key).await;
        }
    }

    /// Deletes a link: calls over it are refused from now on.
    ///
    /// # Errors
    /// [`crate::LinkError::NotFound`], or why the lattice's shared state cannot be changed.
    pub async fn delete_link(&self, key: &LinkKey) -> Result<(), HostError> {
        let _links = self.0.locks.lock(format!("links {}", key.actor)).await;
        let known = self.state().links.get(key).map(|link| self.on_wire(&link));
        match &self.0.node {
            Some(node) => {
                if !node.shared().delete_link(key).await? {
                    return Err(LinkError::NotFound { key: key.clone() }.into());
                }
                if self.state().links.get(key).is_some() {
                    self.drop_link(key).await?;
                }
            }
            None => self.drop_link(key).await?,
        }
        let deleted = known.unwrap_or_else(|| without_target(key));
        self.0.events.announce("linkdef_deleted", link_event(&deleted, None));
        Ok(())
    }

    /// Returns a link as it was put.
    fn on_wire(&self, link: &LinkDefinition) -> Link {
        let stored =
            self.node().and_then(|node| node.shared().read(|data| data.link(&link.key).map(|spec| spec.to_wire())));
        stored.unwrap_or_else(|| LinkSpec::new(link.clone()).to_wire())
    }

    async fn drop_link(&self, key: &LinkKey) -> Result<(), HostError> {
        let link = self.change(|state| state.links.delete(key))?;
        self.forget_link(&link.provider, key).await;
        Ok(())
    }

    /// Brings the links of this host to what the lattice's shared state says.
    pub(crate) async fn sync_links(&self) -> Result<(), HostError> {
        let Some(node) = &self.0.node else { return Ok(()) };
        let _sync = self.0.locks.lock("all links".to_owned()).await;
        self.drop_gone_links();
        let wanted = node.shared().read(wanted_links);
        let new: Vec<_> = {
            let state = self.state();
            let is_new = |link: &Arc<LinkDefinition>| state.links.get(&link.key).as_ref() != Some(link);
            wanted.into_values().filter(is_new).collect()
        };
        let mut taking = futures::stream::iter(new).map(|link| self.take_link(link)).buffer_unordered(OFFERED_MAX);
        let mut result = Ok(());
        while let Some(taken) = taking.next().await {
            result = result.and(taken);
        }
        result
    }

    /// Has calls no longer use the links that the lattice no longer has: at once, however long their providers take to
    /// forget them.
    fn drop_gone_links(&self) {
        let Some(node) = &self.0.node else { return };
        let wanted = node.shared().read(wanted_links);
        let is_gone = |link: &&Arc<LinkDefinition>| !wanted.contains_key(&link.key);
        let mut gone: Vec<_> = self.state().links.all().filter(is_gone).cloned().collect();
        if gone.is_empty() {
            return;
        }
        self.change(|state| gone.retain(|link| state.links.delete(&link.key).is_ok()));
        let host = self.clone();
        let forgetting = gone.into_iter().map(move |link| {
            let host = host.clone();
            async move { host.forget_link(&link.provider, &link.key).await }
        });
        self.tasks().spawn(futures::stream::iter(forgetting).buffer_unordered(OFFERED_MAX).collect::<()>());
    }

    /// Starts the task that follows the lattice's links until the host stops. From when it begins to, no new ones are
    /// taken, so that a provider slow to accept one does not hold that up.
    pub(super) fn follow_links(&self) {
        let Some(node) = &self.0.node else { return };
        let (host, stopped, closing) = (Arc::downgrade(&self.0), self.stopped().clone(), self.closing().clone());
        let mut changes = node.shared().link_changes();
        changes.mark_changed();
        self.tasks().spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = stopped.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
                let Some(host) = host.upgrade().map(Host) else { return };
                if closing.run_until_cancelled(host.follow_change(&mut changes)).await.is_none() {
                    host.drop_gone_links();
                }
            }
        });
    }

    /// Brings the links to what the lattice has. What is deleted meanwhile goes at once: a provider that takes long to
    /// accept a link keeps no other link alive.
    async fn follow_change(&self, changes: &mut watch::Receiver<u64>) {
        let mut sync = std::pin::pin!(self.sync_links());
        let mut is_behind = false;
        loop {
            tokio::select! {
                biased;
                synced = &mut sync => {
                    if let Err(error) = synced {
                        tracing::debug!(%error, "links were not brought up to date");
                    }
                    if is_behind {
                        changes.mark_changed();
                    }
                    return;
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.drop_gone_links();
                    is_behind = true;
                }
            }
        }
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

/// Says which provider a link leads to that others have put.
fn conflict(error: SharedError, spec: &LinkSpec) -> HostError {
    match &error {
        SharedError::Edit(EditError::Conflict { existing, .. }) => match existing.parse() {
            Ok(existing) => LinkError::Conflict { key: spec.definition.key.clone(), existing }.into(),
            Err(_) => error.into(),
        },
        _ => error.into(),
    }
}

/// Returns the links that hold; those whose configurations are not all there wait for them.
fn wanted_links(data: &LatticeData) -> BTreeMap<LinkKey, Arc<LinkDefinition>> {
    let resolved = data.links().map(|spec| data.resolve(spec)).filter(|resolved| resolved.missing.is_empty());
    resolved.map(|resolved| (resolved.definition.key.clone(), Arc::new(resolved.definition))).collect()
}

/// Gives a provider a link, unless it has it already.
pub(super) async fn give_link(slot: &ProviderSlot, link: &Arc<LinkDefinition>) -> Result<(), ProviderError> {
    if slot.has(link) {
        return Ok(());
    }
    // Until it has accepted this one, nobody knows what it has.
    slot.accepted().remove(&link.key);
    put_link(slot.slot.current().provider.as_ref(), link.clone()).await?;
    slot.accepted().insert(link.key.clone(), link.clone());
    Ok(())
}

/// Takes a link from a provider.
async fn take_back(slot: &ProviderSlot, key: &LinkKey) {
    slot.accepted().remove(key);
    delete_link(slot.slot.current().provider.as_ref(), key).await;
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

/// Returns what is known of a link of which this host has not heard.
fn without_target(key: &LinkKey) -> Link {
    let contract = key.contract.as_str();
    let (namespace, package) = contract.split_once(':').unwrap_or(("", contract));
    Link {
        source_id: key.actor.to_string(),
        target: String::new(),
        name: key.link_name.to_string(),
        wit_namespace: namespace.to_owned(),
        wit_package: package.to_owned(),
        interfaces: vec![package.to_owned()],
        source_config: Vec::new(),
        target_config: Vec::new(),
    }
}

/// Writes a link the way the control interface's events do. Values may be secret: they are not told.
fn link_event(link: &Link, error: Option<String>) -> serde_json::Value {
    let mut event = json!({
        "source_id": link.source_id, "name": link.name, "wit_namespace": link.wit_namespace,
        "wit_package": link.wit_package, "interfaces": link.interfaces,
    });
    if let Some(fields) = event.as_object_mut() {
        fields.extend((!link.target.is_empty()).then(|| ("target".to_owned(), link.target.clone().into())));
        fields.extend(error.map(|error| ("error".to_owned(), error.into())));
    }
    event
}
