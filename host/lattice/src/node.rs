//! One host's part in the mesh: thin tasks that feed what is decided elsewhere, and carry out what was decided.

mod beats;
mod calls;
mod clocks;
mod gate;
mod hearing;
mod leading;
mod meeting;
mod orders;
mod shared;
mod standings;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use clocks::Clocks;
use gate::Gate;
use hearing::Hearing;
pub use shared::{Shared, SharedError};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_bus::{Bus, BusError, KvError, watch};
use wattle_types::{ActorId, HostId, LatticeId, ProviderId, control::Standing, wascap::KeyPair};

use crate::{
    beat::{Beat, Prover, RunningActor, RunningProvider},
    directory::{Directory, DirectorySnapshot},
    leader::Election,
    rpc::{Identity, Limits, Rpc, Serve, Surroundings},
};

/// A newcomer is told at once who is there, as long as the lattice has so few hosts; in a larger one it waits a beat.
const GREETERS_MAX: usize = 16;
/// How long tasks of a node may take to end: they only pass messages on.
const TASKS_GRACE: Duration = Duration::from_secs(1);

/// What a host tells of itself in its beats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Takes no new work, and its work is to be moved away.
    pub draining: bool,
    /// For placement.
    pub labels: BTreeMap<String, String>,
    /// Actors that take calls here.
    pub actors: BTreeMap<ActorId, RunningActor>,
    /// Providers that run here.
    pub providers: BTreeMap<ProviderId, RunningProvider>,
}

/// The host a node belongs to.
pub trait LocalHost: Serve {
    /// Returns what is to be told of it now.
    fn told(&self) -> Told;

    /// Hears that clocks are too far apart, or together again, where this host has to do with it: it leads, or leaves
    /// leading to others for that. Told once for each change.
    fn heard_of_clocks(&self, _notice: &ClocksApart) {}
}

/// Hosts whose clocks are too far from one host's: they refuse each other what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClocksApart {
    /// By how many seconds each is ahead; behind if negative. Empty when all are together again.
    pub ahead: BTreeMap<HostId, i64>,
    /// More hosts agree with another clock: it is likely this one that is wrong.
    pub is_outvoted: bool,
}

/// How a host joins a lattice.
pub struct NodeOptions {
    /// Who it is, and whom it trusts.
    pub identity: Identity,
    /// A name for people.
    pub name: String,
    /// Longest pause between two beats.
    pub beat_every: Duration,
    /// Randomness and time.
    pub surroundings: Arc<dyn Surroundings>,
}

/// One host's part in the mesh. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    bus: Arc<dyn Bus>,
    lattice: LatticeId,
    host: HostId,
    name: String,
    incarnation: u64,
    beat_every: Duration,
    /// Signs the orders of a leader.
    cluster: Arc<KeyPair>,
    /// Proves what this host tells, and who told what it hears.
    prover: Prover,
    /// Beats that were not taken, and when that was said last.
    unproven: Mutex<(u64, Option<std::time::Instant>)>,
    /// Counts beats.
    sent: AtomicU64,
    surroundings: Arc<dyn Surroundings>,
    rpc: Rpc,
    shared: Shared,
    election: Mutex<Election>,
    hearing: Mutex<Hearing>,
    clocks: Mutex<Clocks>,
    /// Whether this host is cut off, or was until not long ago.
    was_cut_off: AtomicBool,
    directory: Mutex<Directory>,
    snapshot: ArcSwap<DirectorySnapshot>,
    /// Rung when there is something new to tell.
    changed: Notify,
    /// Somebody may not know us, and is to be told everything with the next beat.
    greet: AtomicBool,
    /// All that runs here fits no message.
    is_oversized: AtomicBool,
    /// Hosts that are there, and of which it is not known what they run: to be asked with the next beat.
    strangers: Mutex<BTreeSet<HostId>>,
    /// Hosts to which the next beat is to show that it is of now.
    greets: Mutex<BTreeMap<HostId, u64>>,
    /// Hosts that are being asked to prove who they are.
    met_aside: Mutex<BTreeSet<HostId>>,
    /// Counts hosts that went away.
    losses: watch::Sender<u64>,
    /// How what is declared stood at the last plan, while this host leads.
    standings: Mutex<Vec<Standing>>,
    /// Counts calls, to choose their hosts by.
    turn: AtomicU64,
    tasks: TaskTracker,
    left: CancellationToken,
    /// A later process has our key: not even the last beat is to be told.
    is_replaced: AtomicBool,
}

impl Node {
    /// Makes the node, with its copy of the shared state. It is not part of the mesh before [`Node::join`].
    ///
    /// # Errors
    /// [`KvError`] when the shared state cannot be had: NATS is gone, or has no JetStream.
    pub async fn new(bus: Arc<dyn Bus>, options: NodeOptions) -> Result<Self, KvError> {
        let seed = options.identity.cluster.seed();
        let cluster = KeyPair::from_seed(&seed).map_err(|error| KvError::Unavailable(error.to_string()))?;
        let cluster = Arc::new(cluster);
        let prover = Prover::new(cluster.clone(), options.identity.issuers.clone());
        let prover = prover.ok_or_else(|| KvError::Unavailable("no key for beats can be derived".into()))?;
        let surroundings = options.surroundings.clone();
        let (lattice, host) = (options.identity.lattice.clone(), options.identity.host);
        let rpc = Rpc::new(bus.clone(), options.identity, options.surroundings, Limits::default());
        let incarnation = rpc.incarnation();
        let hearing = Mutex::new(Hearing::new(now(), bus.connections(), options.beat_every));
        let (tasks, left) = (TaskTracker::new(), CancellationToken::new());
        let shared = Shared::open(bus.as_ref(), &lattice, &tasks, &left).await?;
        Ok(Self(Arc::new(Inner {
            bus,
            lattice,
            host,
            name: options.name,
            incarnation,
            beat_every: options.beat_every,
            cluster,
            prover,
            unproven: Mutex::default(),
            sent: AtomicU64::new(0),
            surroundings,
            rpc,
            shared,
            election: Mutex::new(Election::new(host)),
            hearing,
            clocks: Mutex::default(),
            was_cut_off: AtomicBool::new(false),
            directory: Mutex::default(),
            snapshot: ArcSwap::default(),
            changed: Notify::new(),
            greet: AtomicBool::new(false),
            is_oversized: AtomicBool::new(false),
            strangers: Mutex::default(),
            greets: Mutex::default(),
            met_aside: Mutex::default(),
            losses: watch::Sender::new(0),
            standings: Mutex::default(),
            turn: AtomicU64::new(0),
            tasks,
            left,
            is_replaced: AtomicBool::new(false),
        })))
    }

    /// Takes part from now on: takes calls of other hosts, tells what runs here, hears what runs elsewhere.
    ///
    /// # Errors
    /// When the bus cannot be subscribed to.
    pub async fn join(&self, host: Arc<dyn LocalHost>) -> Result<(), BusError> {
        self.0.rpc.serve(Arc::new(Gate { node: Arc::downgrade(&self.0), host: host.clone() })).await?;
        beats::start(self, host).await?;
        self.0.tasks.spawn(leading::lead(self.clone()));
        Ok(())
    }

    /// Returns the shared state.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Returns who runs what, as of now.
    pub fn directory(&self) -> arc_swap::Guard<Arc<DirectorySnapshot>> {
        self.0.snapshot.load()
    }

    /// Returns the last that was heard of hosts that fell silent and did not say that they ended, as long as they are
    /// remembered.
    #[must_use]
    pub fn silent_hosts(&self) -> Vec<Arc<Beat>> {
        self.change_directory(|directory| directory.silent().cloned().collect())
    }

    /// Returns the term as which this host leads the lattice at this very moment, if it does.
    #[must_use]
    pub fn leads(&self) -> Option<u64> {
        self.election().leads(now())
    }

    /// Returns whether every host that is there can have been heard by now: not without a connection, nor soon after
    /// it was made. Before that, hosts the directory does not show may be there.
    #[must_use]
    pub fn has_heard_all(&self) -> bool {
        self.hear().is_some_and(|by| now() >= by)
    }

    /// Looks at the connection; returns by when every host has been heard over it.
    fn hear(&self) -> Option<std::time::Instant> {
        let connection = (self.0.bus.is_connected(), self.0.bus.connections());
        let mut hearing = self.hearing();
        if hearing.look(now(), connection) && connection.0 {
            // Others, who may have come back before us, hear at once that we are there.
            self.introduce();
        }
        hearing.by()
    }

    fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.0.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn greets(&self) -> MutexGuard<'_, BTreeMap<HostId, u64>> {
        self.0.greets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strangers(&self) -> MutexGuard<'_, BTreeSet<HostId>> {
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.0.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn election(&self) -> MutexGuard<'_, Election> {
        self.0.election.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that there is something new to tell.
    pub fn changed(&self) {
        self.0.changed.notify_one();
    }

    /// Has everybody told all of this host with the next beat, which is at once in a small lattice: others may not know
    /// it, or have forgotten it. What fits no message cannot be told.
    fn introduce(&self) {
        if self.0.is_oversized.load(Ordering::Relaxed) {
            return;
        }
        self.0.greet.store(true, Ordering::Relaxed);
        if self.directory().hosts().len() <= GREETERS_MAX {
            self.changed();
        }
    }

    /// Leaves: finishes what it took of others, for at most `grace`, and tells that it is gone.
    pub async fn leave(&self, grace: Duration) {
        if tokio::time::timeout(grace, self.0.rpc.stop()).await.is_err() {
            tracing::warn!("some calls of other hosts did not end in time");
        }
        self.0.left.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(TASKS_GRACE, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks of the lattice did not end in time");
        }
    }

    /// Returns which start of the host this is, in milliseconds since 1970.
    #[must_use]
    pub fn own_incarnation(&self) -> u64 {
        self.0.incarnation
    }

    /// Returns whether a later process with the same key has taken this one's place.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.0.is_replaced.load(Ordering::Relaxed)
    }

    /// Waits until a later process with the same key has taken this one's place; for ever if none does.
    pub async fn replaced(&self) {
        self.0.left.cancelled().await;
        if !self.0.is_replaced.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }

    /// Takes part no more, at once and in silence: a later process of this host does, and there must not be two.
    fn give_up(&self) {
        self.0.is_replaced.store(true, Ordering::Relaxed);
        self.0.rpc.give_up();
        self.0.left.cancel();
    }

    fn change_directory<T>(&self, change: impl FnOnce(&mut Directory) -> T) -> T {
        let mut directory: MutexGuard<'_, Directory> = self.0.directory.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut directory);
        let snapshot = directory.snapshot();
        if !Arc::ptr_eq(&snapshot, &self.0.snapshot.load()) {
            self.0.snapshot.store(snapshot);
        }
        result
    }

    fn next_turn(&self) -> u64 {
        self.0.turn.fetch_add(1, Ordering::Relaxed)
    }
}

/// Returns the header by which the holder of a cluster key proves a beat: for tests of what such a one could do.
#[must_use]
pub fn prove_beat(cluster: KeyPair, subject: &str, body: &[u8]) -> Option<(String, String)> {
    Prover::new(Arc::new(cluster), Vec::new()).map(|prover| prover.prove(subject, body))
}

/// Returns the time the directory reckons with; paused where time is.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("host", &self.0.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
