//! The host: what an embedder, the control interface and the program use.

mod actors;
mod claims;
mod health;
mod heartbeat;
mod labels;
mod lattice;
mod links;
mod modules;
mod names;
mod needs;
mod periodic;
mod providers;
mod settings;
mod shutdown;
mod silent;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_bus::Bus;
use wattle_lattice::{
    leader::Fence,
    node::{Node, NodeOptions, SharedError},
    rpc::{Identity, System},
};
use wattle_runtime::Engine;
use wattle_types::{
    CallContext, Deadline, HostId, InvokeError, ProviderFactory,
    event::Event,
    wascap::{KeyError, KeyKind, KeyPair, PublicKey, TrustPolicy},
};

pub use actors::StartActor;
pub(crate) use actors::{Rescale, UpdateActor};
pub(crate) use lattice::Declaring;
pub use providers::StartProvider;

use crate::{
    config::HostConfig,
    configs::Configs,
    control::{self, Permits},
    dispatch::Dispatcher,
    error::HostError,
    events::Events,
    inventory,
    known_modules::KnownModules,
    labels::Labels,
    locks::ChangeLocks,
    mesh::Part,
    observe::Watcher,
    process::{Processes, ProviderRpc},
    registries::Registries,
    state::State,
};

tokio::task_local! {
    /// The term of the leader whose order is being carried out.
    static ORDERED_BY: u64;
}

/// Changes that are acknowledged before they are done, at once: each may hold a file of its own in memory.
const CHANGES_MAX: usize = 16;

/// A running host. Cheap to clone; all clones are the same host.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    id: HostId,
    config: HostConfig,
    trust: TrustPolicy,
    engine: Engine,
    kinds: BTreeMap<String, Arc<dyn ProviderFactory>>,
    dispatcher: Dispatcher,
    state: Mutex<State>,
    labels: Mutex<Labels>,
    registries: Registries,
    known_modules: KnownModules,
    configs: Configs,
    locks: ChangeLocks,
    /// Places for changes that were acknowledged before they are done.
    changes: Arc<Semaphore>,
    events: Events,
    tasks: TaskTracker,
    /// Versions of actors that take no calls any more, until theirs have ended. They still need providers.
    drains: TaskTracker,
    /// The one shutdown, for which all who ask for it wait.
    shutdown: OnceCell<()>,
    /// Cancelled when the host begins to stop.
    closing: CancellationToken,
    /// Cancelled when the host has stopped.
    stopped: CancellationToken,
    /// How long the last drain may take, if whoever stops the host said so.
    last_drain: OnceLock<Duration>,
    started: Instant,
    bus: Option<Arc<dyn Bus>>,
    /// Who may ask for changes.
    permits: Permits,
    /// Whose orders are still taken.
    fence: Mutex<Fence>,
    /// The host's part in the lattice of its bus.
    node: Option<Node>,
    /// For providers that are processes; they need a bus.
    processes: Option<Arc<Processes>>,
}

/// Puts a host together.
pub struct HostBuilder {
    config: HostConfig,
    trust: TrustPolicy,
    engine: Engine,
    key: Option<KeyPair>,
    kinds: BTreeMap<String, Arc<dyn ProviderFactory>>,
    builtins: Vec<Arc<dyn ProviderFactory>>,
    bus: Option<Arc<dyn Bus>>,
    provider_rpc: Option<ProviderRpc>,
    cluster_key: Option<KeyPair>,
    cluster_issuers: Vec<PublicKey>,
}

impl HostBuilder {
    /// Sets the configuration.
    #[must_use]
    pub fn config(mut self, config: HostConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the host's identity; a new one is made otherwise.
    #[must_use]
    pub fn key(mut self, key: KeyPair) -> Self {
        self.key = Some(key);
        self
    }

    /// Offers a kind of provider, to be started as `builtin:{kind}`.
    #[must_use]
    pub fn provider_kind(mut self, kind: &str, factory: impl ProviderFactory) -> Self {
        self.kinds.insert(kind.to_owned(), Arc::new(factory));
        self
    }

    /// Serves the provider's contracts to every actor that claims them, without links.
    #[must_use]
    pub fn builtin(mut self, factory: impl ProviderFactory) -> Self {
        self.builtins.push(Arc::new(factory));
        self
    }

    /// Joins the lattice on a bus: the host then answers the control interface and publishes events.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Lets the host start providers that are processes, on the lattice of its bus. Without a bus it has no effect.
    #[must_use]
    pub fn provider_rpc(mut self, rpc: ProviderRpc) -> Self {
        self.provider_rpc = Some(rpc);
        self
    }

    /// Sets the key (`C...`) by which hosts of a lattice know each other, and which signs what the host sends to
    /// provider processes. Hosts with the same key trust each other. A new one is made otherwise.
    #[must_use]
    pub fn cluster_key(mut self, key: KeyPair) -> Self {
        self.cluster_key = Some(key);
        self
    }

    /// Trusts hosts that have another cluster key (`C...`).
    #[must_use]
    pub fn cluster_issuer(mut self, issuer: PublicKey) -> Self {
        self.cluster_issuers.push(issuer);
        self
    }

    /// Starts the host.
    ///
    /// # Errors
    /// When a builtin does not come up, the bus cannot be subscribed to, or no key can be made.
    pub async fn start(self) -> Result<Host, HostError> {
        let key_error = |error: KeyError| HostError::Internal(format!("the host's key: {error}"));
        let key = self.key.map_or_else(|| KeyPair::generate(KeyKind::Host), Ok).map_err(key_error)?;
        let id = key.public_key().try_into()?;
        let labels = Labels::new(&self.config.labels).map_err(|(key, error)| HostError::Label { key, error })?;
        let cluster = self.cluster_key.map_or_else(|| KeyPair::generate(KeyKind::Cluster), Ok).map_err(key_error)?;
        cluster.public_key().expect_kind(KeyKind::Cluster).map_err(key_error)?;
        let clusters = self.cluster_issuers.iter().copied().chain([cluster.public_key()]).collect();
        let permits = Permits::new(self.config.require_signed, &self.config.controllers, clusters, unix_now());
        let node = match &self.bus {
            Some(bus) => {
                let cluster = KeyPair::from_seed(&cluster.seed()).map_err(key_error)?;
                let lattice = self.config.lattice.clone();
                let identity = Identity { lattice, host: id, cluster, issuers: self.cluster_issuers };
                let options = NodeOptions {
                    identity,
                    name: self.config.friendly_name.clone(),
                    beat_every: self.config.beat_interval,
                    surroundings: Arc::new(System),
                };
                Some(Node::new(bus.clone(), options).await.map_err(SharedError::Store)?)
            }
            None => None,
        };
        let processes = self.bus.clone().zip(self.provider_rpc);
        let processes = processes.map(|(bus, rpc)| Processes::new(bus, id, &self.config, rpc, cluster));
        let host = Host(Arc::new(Inner {
            id,
            labels: Mutex::new(labels),
            registries: Registries::default(),
            known_modules: KnownModules::open(self.engine.cache_dir().map(|dir| dir.join("known"))),
            configs: Configs::new(self.bus.clone(), &self.config.lattice),
            config: self.config,
            trust: self.trust,
            engine: self.engine,
            kinds: self.kinds,
            dispatcher: Dispatcher::default(),
            state: Mutex::default(),
            locks: ChangeLocks::default(),
            changes: Arc::new(Semaphore::new(CHANGES_MAX)),
            events: Events::default(),
            tasks: TaskTracker::new(),
            drains: TaskTracker::new(),
            shutdown: OnceCell::new(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
            last_drain: OnceLock::new(),
            started: crate::dispatch::now(),
            bus: self.bus,
            permits,
            fence: Mutex::default(),
            node,
            processes: processes.map(Arc::new),
        }));
        if let Err(error) = host.open(self.builtins).await {
            host.shutdown().await;
            return Err(error);
        }
        host.0.events.announce("host_started", inventory::host_started(&host));
        Ok(host)
    }
}

impl Host {
    /// Brings up what a host begins with.
    async fn open(&self, builtins: Vec<Arc<dyn ProviderFactory>>) -> Result<(), HostError> {
        self.start_builtins(builtins).await?;
        self.start_health_checks();
        self.start_claims_checks();
        self.start_heartbeat();
        match self.0.bus.clone() {
            Some(bus) => {
                self.sync_links().await?;
                control::serve(self, bus).await?;
                self.join_lattice().await?;
                self.follow_links();
                self.follow_configs();
                self.tell_of_silent_hosts();
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn join_lattice(&self) -> Result<(), HostError> {
        let Some(node) = &self.0.node else { return Ok(()) };
        self.0.dispatcher.connect(node.clone());
        let (replaced, host, stopped) = (node.clone(), Arc::downgrade(&self.0), self.stopped().clone());
        self.tasks().spawn(async move {
            // Two hosts of one key must not both be commanded.
            if stopped.run_until_cancelled(replaced.replaced()).await.is_some()
                && let Some(host) = host.upgrade().map(Host)
            {
                host.shutdown_in_background(None);
            }
        });
        let joined = node.join(Arc::new(Part(Arc::downgrade(&self.0)))).await;
        joined.map_err(|error| HostError::Listen { what: "other hosts", error })
    }

    /// Checks that no later process with the same key has taken this one's place, which ends it.
    ///
    /// # Errors
    /// [`HostError::Replaced`].
    pub fn check_replaced(&self) -> Result<(), HostError> {
        let is_replaced = self.0.node.as_ref().is_some_and(Node::is_replaced);
        if is_replaced { Err(HostError::Replaced) } else { Ok(()) }
    }

    /// Begins to put a host together. It runs only modules that `trust` accepts.
    #[must_use]
    pub fn builder(engine: Engine, trust: TrustPolicy) -> HostBuilder {
        HostBuilder {
            config: HostConfig::default(),
            trust,
            engine,
            key: None,
            kinds: BTreeMap::new(),
            builtins: Vec::new(),
            bus: None,
            provider_rpc: None,
            cluster_key: None,
            cluster_issuers: Vec::new(),
        }
    }

    /// Returns the host's identity.
    #[must_use]
    pub fn id(&self) -> HostId {
        self.0.id
    }

    /// Returns the host's settings.
    #[must_use]
    pub fn config(&self) -> &HostConfig {
        &self.0.config
    }

    /// Returns how long the host has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        crate::dispatch::now().saturating_duration_since(self.0.started)
    }

    /// Receives the host's events from now on. A receiver that lags more than 1024 events misses some.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.listen()
    }

    /// Calls an actor by its id or call alias.
    ///
    /// `timeout` defaults to the host's call timeout.
    ///
    /// # Errors
    /// [`InvokeError`], named by what stands in the way.
    ///
    /// # Cancel safety
    /// Dropping the future ends the call.
    pub async fn call(
        &self,
        actor: &str,
        operation: &str,
        payload: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Bytes, InvokeError> {
        let wait = timeout.unwrap_or(self.0.config.call_timeout);
        let context = CallContext::new(Deadline::after(crate::dispatch::now(), wait));
        self.0.dispatcher.call_from_outside(actor, operation, payload, context).await
    }

    /// Watches invocations until the watcher is dropped.
    pub(crate) fn watch(&self) -> Watcher<'_> {
        self.0.dispatcher.observer().watch()
    }

    pub(crate) fn events_sink(&self) -> &Events {
        &self.0.events
    }

    /// Returns a place for a change that is carried out in the background, if there is one.
    pub(crate) fn place_for_change(&self) -> Option<OwnedSemaphorePermit> {
        self.0.changes.clone().try_acquire_owned().ok()
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.0.stopped
    }

    pub(crate) fn registries(&self) -> &Registries {
        &self.0.registries
    }

    pub(crate) fn trust(&self) -> &TrustPolicy {
        &self.0.trust
    }

    pub(crate) fn configs(&self) -> &Configs {
        &self.0.configs
    }

    /// Returns the state, for a look or a change. Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state like [`Host::change`], unless the host is stopping, or a leader ordered it that leads no more.
    fn change_open<T>(&self, change: impl FnOnce(&mut State) -> Result<T, HostError>) -> Result<T, HostError> {
        self.check_ordered()?;
        self.change(|state| if state.closing { Err(HostError::Draining) } else { change(state) })
    }

    /// Refuses early what [`Host::change_open`] would refuse in the end.
    fn check_accepting(&self) -> Result<(), HostError> {
        if self.state().closing { Err(HostError::Draining) } else { Ok(()) }
    }

    /// Changes the state and makes the change visible to calls.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        let routes = state.routes(&self.0.dispatcher.routes());
        self.0.dispatcher.publish(routes);
        drop(state);
        self.tell_lattice();
        result
    }

    /// Has the lattice told what runs here now.
    pub(crate) fn tell_lattice(&self) {
        if let Some(node) = &self.0.node {
            node.changed();
        }
    }

    /// Carries out the order of a leader, as long as no later one has been heard.
    pub(crate) async fn obey<T>(
        &self,
        term: u64,
        order: impl Future<Output = Result<T, HostError>>,
    ) -> Result<T, HostError> {
        self.check_term(term)?;
        ORDERED_BY.scope(term, order).await
    }

    /// Refuses to go on with a leader's order once a later leader has been heard: an order may take long, and that
    /// one's have been carried out meanwhile.
    fn check_ordered(&self) -> Result<(), HostError> {
        ORDERED_BY.try_with(|term| self.check_term(*term)).unwrap_or(Ok(()))
    }

    /// Refuses what a leader orders once a later one has been heard.
    fn check_term(&self, term: u64) -> Result<(), HostError> {
        let mut fence = self.0.fence.lock().unwrap_or_else(PoisonError::into_inner);
        if fence.admit(term) { Ok(()) } else { Err(HostError::TermOutdated { seen: fence.highest() }) }
    }

    /// Returns who may ask for changes.
    pub(crate) fn permits(&self) -> &Permits {
        &self.0.permits
    }

    /// Returns the host's part in its lattice.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.0.node.as_ref()
    }

    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.0.dispatcher
    }

    /// Resolves the id, name in the lattice, call alias or claimed name of a running actor.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`] or [`HostError::ActorAmbiguous`].
    pub fn find_actor(&self, target: &str) -> Result<wattle_types::ActorId, HostError> {
        let routes = self.0.dispatcher.routes();
        let found = routes.actors.find(target).or_else(|| routes.actors.get(&self.actor_called(target)?));
        if let Some(slot) = found {
            return Ok(slot.id);
        }
        let state = self.state();
        let named: Vec<_> = state
            .actors
            .iter()
            .filter(|slot| slot.slot.current().facts.name.as_deref() == Some(target))
            .map(|slot| slot.id)
            .collect();
        match named.as_slice() {
            [actor] => Ok(*actor),
            [] => Err(HostError::ActorNotFound { target: target.chars().take(128).collect() }),
            several => Err(HostError::ActorAmbiguous { target: target.to_owned(), count: several.len() }),
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// Returns the seconds since 1970, as claims count them.
/// Returns the time in milliseconds since 1970.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the time in seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The names of offered kinds, for messages.
fn kind_names(kinds: &BTreeMap<String, Arc<dyn ProviderFactory>>) -> String {
    kinds.keys().map(|kind| format!("builtin:{kind}")).collect::<Vec<_>>().join(", ")
}
