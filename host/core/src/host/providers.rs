//! Starting, replacing and stopping providers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use wattle_types::{
    ContractId, Handover, LinkDefinition, LinkKey, Provider, ProviderContext, ProviderError, ProviderFactory,
    ProviderId,
};

use super::{Host, kind_names, links::give_link};
use crate::{
    authz,
    dispatch::ProviderGate,
    error::HostError,
    fetch::is_within_reach,
    inventory, process,
    provider::{Links, Origin, ProviderSlot, RunningProvider, Settings},
    slot::Generation,
    steps::Steps,
    validity::Validity,
};

/// Longest a provider may take to accept or forget a link: it may have to connect to something first.
const LINK_TIMEOUT: Duration = Duration::from_secs(30);

/// How to start a provider.
#[derive(Clone, Default)]
pub struct StartProvider {
    /// `builtin:KIND`, or where a provider archive is: `file:///path` or `https://host/path#sha256=HEX`.
    pub reference: String,
    /// Its identity; by default the kind, or the archive's key (`V...`).
    pub id: Option<ProviderId>,
    /// Configuration for all its links. May hold secrets.
    pub config: BTreeMap<String, String>,
    /// Names of configurations of the lattice, the later ones winning; `config` wins over them. When they change, the
    /// provider is replaced, live, by one that has the new ones.
    pub configs: Vec<String>,
    /// Kept in the inventory.
    pub annotations: BTreeMap<String, String>,
    /// Started because it is declared: whoever keeps declarations may move and stop it.
    pub declared: bool,
}

impl std::fmt::Debug for StartProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartProvider").field("id", &self.id).finish_non_exhaustive()
    }
}

impl StartProvider {
    /// Starts `reference` with all defaults.
    #[must_use]
    pub fn new(reference: &str) -> Self {
        Self { reference: reference.to_owned(), ..Self::default() }
    }
}

/// What a reference stands for.
pub(super) struct Source {
    /// The id it has when none is given: a built-in kind, or an archive's key (`V...`).
    pub(super) kind: ProviderId,
    factory: Arc<dyn ProviderFactory>,
    revision: Option<i32>,
    /// What an archive's claims say that it serves.
    pub(super) contract: Option<ContractId>,
    validity: Validity,
}

impl Host {
    /// Starts a provider and gives it the links that name it.
    ///
    /// A link it does not accept stays and is tried again at each health check; until then calls over it get the
    /// provider's answer.
    ///
    /// # Errors
    /// Why it does not come up, or because it runs already.
    pub async fn start_provider(&self, options: StartProvider, steps: &Steps) -> Result<ProviderId, HostError> {
        let result = self.try_start_provider(&options, steps).await;
        if let Err(error) = &result {
            self.provider_not_started(&options, &error.to_string());
        }
        result
    }

    /// Tells that a provider was not started, and why.
    pub(crate) fn provider_not_started(&self, options: &StartProvider, why: &str) {
        self.0.events.announce("provider_start_failed", inventory::provider_start_failed(self, options, why));
    }

    async fn try_start_provider(&self, options: &StartProvider, steps: &Steps) -> Result<ProviderId, HostError> {
        self.check_accepting()?;
        let source = self.source(&options.reference).await?;
        let id = options.id.clone().unwrap_or_else(|| source.kind.clone());
        authz::check_provider_id(&id, &source.kind)?;
        let _change = self.0.locks.lock(format!("provider {id}")).await;
        if self.state().providers.contains_key(&id) {
            return Err(HostError::ProviderRunning { provider: id });
        }
        let settings = Settings { names: options.configs.clone(), ..Settings::of(options.config.clone()) };
        let settings = settings.with_named(self.configs().resolve(&options.configs).await?);
        let running = self.create(&id, source, &options.reference, settings, None).await?;
        steps.done("started", format!("{id} serves {}", served(running.provider.as_ref())));
        let links = self.replay_links(&id, running.provider.as_ref(), steps).await;
        let provider = running.provider.clone();
        let slot = match self.insert_provider(id.clone(), running, options, links) {
            Ok(slot) => slot,
            Err(error) => {
                self.discard(provider.as_ref()).await;
                return Err(error);
            }
        };
        steps.done("published", "generation 1 takes calls");
        self.0.events.announce("provider_started", inventory::provider_started(self, &slot));
        Ok(id)
    }

    /// Replaces a running provider, live: start the new one, replay its links, publish, drain and stop the old one.
    ///
    /// What the old one can hand over (listening sockets, open databases) the new one gets. Without `config` the old
    /// configuration is kept. Any failure before it is published leaves the old one serving.
    ///
    /// # Errors
    /// Why the new one does not come up, or is refused: another key, or a lower revision without `force`.
    pub async fn update_provider(
        &self,
        id: &ProviderId,
        reference: &str,
        config: Option<BTreeMap<String, String>>,
        force: bool,
        steps: &Steps,
    ) -> Result<(), HostError> {
        self.replace_provider(id, reference, config.map(Settings::of), force, steps).await
    }

    async fn replace_provider(
        &self,
        id: &ProviderId,
        reference: &str,
        settings: Option<Settings>,
        force: bool,
        steps: &Steps,
    ) -> Result<(), HostError> {
        self.check_accepting()?;
        // Fetched before anybody has to wait for it.
        let source = self.source(reference).await?;
        let _change = self.0.locks.lock(format!("provider {id}")).await;
        let slot = self.provider_slot(id)?;
        let old = slot.slot.current();
        authz::check_provider_update(&old.kind, &source.kind)?;
        authz::check_provider_revision(old.revision, source.revision, force)?;
        let settings = settings.unwrap_or_else(|| old.settings.clone());
        let handover = old.provider.handover();
        let running = self.create(id, source, reference, settings, handover).await?;
        let (before, after) = (old.provider.contracts(), running.provider.contracts());
        if let Err(error) = self.check_links_served(id, Some(before), after, force) {
            self.discard(running.provider.as_ref()).await;
            return Err(error);
        }
        steps.done("started", format!("the new {id} is up"));
        let links = self.must_replay_links(id, running.provider.as_ref(), steps).await?;
        let provider = running.provider.clone();
        if let Err(error) = self.change_open(|_| Ok(slot.slot.publish(running))) {
            self.discard(provider.as_ref()).await;
            return Err(error);
        }
        *slot.accepted() = links;
        steps.done("published", format!("generation {} takes calls", old.number() + 1));
        self.0.events.announce("provider_started", inventory::provider_started(self, &slot));
        self.retire_provider(&old, steps).await;
        Ok(())
    }

    /// Replaces a running provider, live, by one that has what its named configurations say now; one that has it
    /// already stays. A configuration that is gone changes nothing.
    pub(super) async fn refresh_provider(&self, slot: &ProviderSlot) -> Result<(), HostError> {
        let running = slot.slot.current();
        let Some(settings) = self.current_settings(&running.settings) else { return Ok(()) };
        let (reference, id) = (running.reference.clone(), &slot.id);
        drop(running);
        tracing::info!(provider = %id, "a configuration it names has changed: it is replaced");
        self.replace_provider(id, &reference, Some(settings), true, &Steps::ignore()).await
    }

    /// Returns settings with what their named configurations say now, if that is not what they say.
    pub(super) fn current_settings(&self, settings: &Settings) -> Option<Settings> {
        let shared = self.node().filter(|_| !settings.names.is_empty())?.shared();
        let mut named = BTreeMap::new();
        for name in &settings.names {
            named.extend(shared.read(|data| data.config(name).cloned())?);
        }
        Some(settings.clone().with_named(named)).filter(|now| now.values != settings.values)
    }

    /// Stops a provider after its calls in flight. Its links stay: calls over them are refused at once.
    ///
    /// # Errors
    /// [`HostError::ProviderNotFound`].
    pub async fn stop_provider(&self, id: &ProviderId, steps: &Steps) -> Result<(), HostError> {
        let _change = self.0.locks.lock(format!("provider {id}")).await;
        self.check_ordered()?;
        let slot = self.provider_slot(id)?;
        self.change(|state| state.providers.remove(id));
        steps.done("unpublished", "new calls are refused");
        self.retire_provider(&slot.slot.current(), steps).await;
        self.0.events.announce("provider_stopped", inventory::provider_stopped(self, &slot, "stopped"));
        Ok(())
    }

    /// Ends one generation of a provider: no more work from outside, then none from actors, then close.
    pub(super) async fn retire_provider(&self, old: &Generation<RunningProvider>, steps: &Steps) {
        let wait = self.drain_timeout();
        let quiet = tokio::time::timeout(wait, old.provider.quiesce()).await.is_ok();
        let drained = old.drain(wait).await;
        let closed = tokio::time::timeout(wait, old.provider.shutdown()).await.is_ok();
        if !quiet || !closed {
            tracing::warn!(reference = old.reference, quiet, closed, "a provider did not stop in time");
        }
        let finished = drained.found.saturating_sub(drained.left);
        steps.done("drained", format!("{finished} in flight finished, {} given up", drained.left));
    }

    /// Closes a provider that was made and never took its place.
    async fn discard(&self, provider: &dyn Provider) {
        let closed = async {
            provider.quiesce().await;
            provider.shutdown().await;
        };
        if tokio::time::timeout(self.drain_timeout(), closed).await.is_err() {
            tracing::warn!("a provider that did not come up did not close in time");
        }
    }

    pub(super) async fn start_builtins(&self, factories: Vec<Arc<dyn ProviderFactory>>) -> Result<(), HostError> {
        for factory in factories {
            let id: ProviderId = "builtin".parse()?;
            let source =
                Source { kind: id.clone(), factory, revision: None, contract: None, validity: Validity::default() };
            let running = self.create(&id, source, "builtin", Settings::default(), None).await?;
            let contracts = running.provider.contracts().to_vec();
            let slot = ProviderSlot::new(id, running, Origin::default(), Links::default());
            self.change(|state| {
                state.builtins.extend(contracts.into_iter().map(|contract| (contract, slot.clone())));
            });
        }
        Ok(())
    }

    async fn create(
        &self,
        id: &ProviderId,
        source: Source,
        reference: &str,
        settings: Settings,
        predecessor: Option<Handover>,
    ) -> Result<RunningProvider, HostError> {
        let gate = ProviderGate { dispatcher: self.0.dispatcher.clone(), provider: id.clone() };
        let context = ProviderContext { id: id.clone(), config: settings.values.clone(), actors: Arc::new(gate) };
        let Source { kind, factory, revision, validity, contract: _ } = source;
        let provider = factory.create(context, predecessor).await.map_err(|error| failed(id, error))?;
        Ok(RunningProvider { provider, kind, reference: reference.to_owned(), settings, revision, validity })
    }

    /// Makes a provider of a built-in kind with a configuration and closes it; returns the contracts it would serve.
    pub(super) async fn try_out(
        &self,
        id: &ProviderId,
        source: Source,
        reference: &str,
        config: BTreeMap<String, String>,
    ) -> Result<Vec<ContractId>, HostError> {
        let made = self.create(id, source, reference, Settings::of(config), None).await?;
        let contracts = made.provider.contracts().to_vec();
        self.discard(made.provider.as_ref()).await;
        Ok(contracts)
    }

    /// Gives a new provider its links, and returns what became of them.
    async fn replay_links(&self, id: &ProviderId, provider: &dyn Provider, steps: &Steps) -> Links {
        let links = self.state().links.of_provider(id);
        let total = links.len();
        let mut accepted = Links::default();
        for link in links {
            match put_link(provider, link.clone()).await {
                Ok(()) => drop(accepted.insert(link.key.clone(), link)),
                Err(error) => {
                    tracing::warn!(provider = %id, link = ?link.key, %error, "a link is not accepted; it is tried again");
                }
            }
        }
        match accepted.len() {
            all if all == total => steps.done("linked", counted(total)),
            some => steps.done("linked", format!("{some} of {}", counted(total))),
        }
        accepted
    }

    /// Gives a provider the links that it is to have and has not accepted, one by one: others change it in between.
    pub(super) async fn retry_links(&self, slot: &ProviderSlot) {
        let mut links = self.state().links.of_provider(&slot.id);
        links.retain(|link| !slot.has(link));
        for key in links.iter().map(|link| &link.key) {
            let _change = self.0.locks.lock(format!("provider {}", slot.id)).await;
            let still_runs = self.state().providers.get(&slot.id).is_some_and(|now| std::ptr::eq(now.as_ref(), slot));
            if !still_runs {
                return;
            }
            // It may have been changed meanwhile, or deleted.
            let link = self.state().links.get(key).filter(|link| link.provider == slot.id);
            if let Some(link) = link
                && let Err(error) = give_link(slot, &link).await
            {
                tracing::debug!(provider = %slot.id, %error, "a link is still not accepted");
            }
        }
    }

    /// Gives a successor all links of its predecessor that are for what it serves, or says which it refuses.
    async fn must_replay_links(
        &self,
        id: &ProviderId,
        provider: &dyn Provider,
        steps: &Steps,
    ) -> Result<Links, HostError> {
        let mut links = self.state().links.of_provider(id);
        links.retain(|link| provider.contracts().contains(&link.key.contract));
        for link in &links {
            if let Err(error) = put_link(provider, link.clone()).await {
                self.discard(provider).await;
                return Err(failed(id, error));
            }
        }
        steps.done("linked", counted(links.len()));
        Ok(links.into_iter().map(|link| (link.key.clone(), link)).collect())
    }

    fn insert_provider(
        &self,
        id: ProviderId,
        running: RunningProvider,
        options: &StartProvider,
        links: Links,
    ) -> Result<Arc<ProviderSlot>, HostError> {
        self.change_open(|state| {
            state.providers_started += 1;
            let origin = Origin {
                annotations: options.annotations.clone(),
                order: state.providers_started,
                declared: options.declared,
            };
            let slot = ProviderSlot::new(id.clone(), running, origin, links);
            state.providers.insert(id, slot.clone());
            Ok(slot)
        })
    }

    /// Returns what makes the provider a reference names.
    pub(super) async fn source(&self, reference: &str) -> Result<Source, HostError> {
        if reference.contains("://") {
            let inner = &self.0;
            let archive =
                process::resolve(reference, &inner.trust, inner.processes.as_ref(), &inner.registries).await?;
            let process::Resolved { key, factory, revision, contract, validity } = archive;
            return Ok(Source { kind: key, factory, revision: Some(revision), contract: Some(contract), validity });
        }
        let kind = reference.strip_prefix("builtin:").unwrap_or(reference);
        match self.0.kinds.get(kind) {
            Some(factory) => Ok(Source {
                kind: kind.parse()?,
                factory: factory.clone(),
                revision: None,
                contract: None,
                validity: Validity::default(),
            }),
            None => {
                let known = kind_names(&self.0.kinds);
                Err(HostError::ProviderUnknown { reference: reference.to_owned(), known })
            }
        }
    }

    /// Returns whether a provider could be made from `reference`, as far as can be told without making it.
    pub(crate) async fn can_make_provider(&self, reference: &str) -> bool {
        if reference.contains("://") {
            return self.0.processes.is_some() && is_within_reach(reference).await;
        }
        self.0.kinds.contains_key(reference.strip_prefix("builtin:").unwrap_or(reference))
    }

    pub(crate) fn provider_slot(&self, id: &ProviderId) -> Result<Arc<ProviderSlot>, HostError> {
        let slot = self.state().providers.get(id).cloned();
        slot.ok_or_else(|| HostError::ProviderNotFound { provider: id.clone() })
    }
}

fn counted(links: usize) -> String {
    match links {
        1 => "1 link".into(),
        many => format!("{many} links"),
    }
}

/// Gives a provider a link, and does not wait for ever for its answer.
pub(super) async fn put_link(provider: &dyn Provider, link: Arc<LinkDefinition>) -> Result<(), ProviderError> {
    match tokio::time::timeout(LINK_TIMEOUT, provider.put_link(link)).await {
        Ok(answer) => answer,
        Err(_) => Err(ProviderError::DeadlineExceeded),
    }
}

/// Takes a link from a provider, and does not wait for ever.
pub(super) async fn delete_link(provider: &dyn Provider, key: &LinkKey) {
    if tokio::time::timeout(LINK_TIMEOUT, provider.delete_link(key)).await.is_err() {
        tracing::warn!(link = ?key, "a provider did not forget a link in time");
    }
}

pub(super) fn failed(id: &ProviderId, error: ProviderError) -> HostError {
    HostError::Provider { provider: id.clone(), error }
}

pub(super) fn served(provider: &dyn Provider) -> String {
    provider.contracts().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
