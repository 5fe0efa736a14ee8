//! A simulated host: a real node of the lattice, and a model where the engine would be.

mod orders;
mod serving;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Mutex as Lock, time::sleep};
use tokio_util::sync::CancellationToken;
use wattle_bus::{Bus as _, BusError, KvError, Subscription, sim::SimBus};
use wattle_lattice::{
    leader::Fence,
    node::{LocalHost, Node, NodeOptions, Told},
    rpc::{Identity, Refusal, RemoteCall, Serve},
};
use wattle_types::{
    BoxFuture, HostId, subject,
    wascap::{KeyKind, KeyPair},
};

use crate::{
    Planted,
    chance::Chance,
    model::{Model, Place},
    requests::{self, Taken},
    world::{Seat, World},
};

/// Longest pause between two beats.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long whoever runs hosts waits before it starts one again that could not start.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long calls in flight may take when a host stops or a version goes.
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// How long moving work off a host may take.
const LEAVE_MAX: Duration = Duration::from_secs(20);
/// How often it is looked whether something has come about.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One process of a host.
#[derive(Debug)]
pub(crate) struct SimHost {
    pub(crate) id: HostId,
    /// Which start of the host it is.
    pub(crate) start: u32,
    pub(crate) node: Node,
    /// The process has ended, in whatever way.
    pub(crate) dead: CancellationToken,
    /// When it joined the lattice.
    pub(crate) since: tokio::time::Instant,
    /// Signed requests that were carried out.
    taken: Taken,
    seat: Arc<Seat>,
    world: Arc<World>,
    bus: SimBus,
    chance: Arc<Chance>,
    model: Mutex<Model>,
    fence: Mutex<Fence>,
    obeyed: Mutex<Obeyed>,
    locks: Mutex<BTreeMap<Place, Arc<Lock<()>>>>,
}

/// Orders that a host has carried out.
#[derive(Debug, Default)]
struct Obeyed {
    last: Option<(u64, Bytes)>,
    /// The last one of an earlier leader.
    earlier: Option<Bytes>,
}

/// The host as its node knows it: not kept alive by it.
struct Part(Weak<SimHost>);

impl LocalHost for Part {
    fn told(&self) -> Told {
        self.0.upgrade().map(|host| host.model().told()).unwrap_or_default()
    }
}

impl Serve for Part {
    fn serve(&self, _from: HostId, call: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(host) => host.take_call(call).await,
                None => std::future::pending().await,
            }
        })
    }
}

impl SimHost {
    /// Starts a host, again and again until it runs.
    pub(crate) async fn start(world: &Arc<World>, seat: &Arc<Seat>, start: u32) -> Arc<Self> {
        loop {
            let bus = world.net.connect(&seat.name());
            let (weather, cut) = seat.weather();
            bus.set_faults(weather);
            bus.cut(cut);
            match Self::try_start(world, seat, start, bus.clone()).await {
                Ok(host) => {
                    // What changed while it started concerns it too.
                    let (weather, cut) = seat.weather();
                    host.bus.set_faults(weather);
                    host.bus.cut(cut);
                    return host;
                }
                Err(why) => {
                    world.witness.note(&format!("host {} does not start: {why}", seat.number));
                    bus.crash();
                    sleep(START_AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn try_start(world: &Arc<World>, seat: &Arc<Seat>, start: u32, bus: SimBus) -> Result<Arc<Self>, String> {
        let options = NodeOptions {
            identity: Identity {
                lattice: world.lattice.clone(),
                host: seat.id,
                cluster: cluster_key(),
                issuers: vec![],
            },
            name: seat.name(),
            beat_every: BEAT_EVERY,
            surroundings: seat.machine.clone(),
        };
        let node = Node::new(Arc::new(bus.clone()), options).await.map_err(|error: KvError| error.to_string())?;
        let host = Arc::new(Self {
            id: seat.id,
            start,
            node,
            dead: CancellationToken::new(),
            since: tokio::time::Instant::now(),
            taken: Taken::new(seat.machine.now_ms() / 1000),
            seat: Arc::clone(seat),
            world: Arc::clone(world),
            bus,
            chance: Arc::clone(&seat.chance),
            model: Mutex::new(Model { labels: seat.labels(), ..Model::default() }),
            fence: Mutex::default(),
            obeyed: Mutex::default(),
            locks: Mutex::default(),
        });
        if let Err(error) = host.join().await {
            host.die();
            return Err(error.to_string());
        }
        Ok(host)
    }

    async fn join(self: &Arc<Self>) -> Result<(), BusError> {
        let addressed = subject::control_host(&self.world.lattice, "*.*", &self.id);
        let orders: Subscription = self.bus.subscribe(&addressed, None).await?;
        self.world.tasks.spawn(orders::take(Arc::clone(self), orders));
        if self.world.planted == Some(Planted::OnceByEach) {
            let anybodys = subject::control(&self.world.lattice, "config.put");
            let anybodys: Subscription = self.bus.subscribe(&anybodys, Some("config")).await?;
            self.world.tasks.spawn(requests::take(Arc::clone(self), anybodys));
        }
        self.node.join(Arc::new(Part(Arc::downgrade(self)))).await
    }

    pub(crate) const fn taken(&self) -> &Taken {
        &self.taken
    }

    pub(crate) const fn world(&self) -> &Arc<World> {
        &self.world
    }

    pub(crate) const fn bus(&self) -> &SimBus {
        &self.bus
    }

    pub(crate) const fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Returns its name in the log.
    pub(crate) fn name(&self) -> String {
        self.seat.name()
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what runs, and tells the witness and the lattice.
    fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = self.model();
        let before: Vec<Place> = model.slots.keys().cloned().collect();
        let changed = change(&mut model);
        let takes_work = !model.leaving && !model.closing;
        for place in model.slots.keys() {
            self.world.witness.serves(place, self.id, takes_work);
        }
        for place in before.iter().filter(|place| !model.slots.contains_key(place)) {
            self.world.witness.serves(place, self.id, false);
        }
        drop(model);
        self.node.changed();
        changed
    }

    /// Ends the process at once.
    pub(crate) fn crash(&self) {
        self.world.witness.note(&format!("host {} dies", self.seat.number));
        self.die();
    }

    fn die(&self) {
        self.dead.cancel();
        self.bus.crash();
        self.world.witness.gone(self.id);
        let node = self.node.clone();
        self.world.tasks.spawn(async move { node.leave(Duration::ZERO).await });
    }

    /// Has what is declared moved away, then ends the process in good order.
    pub(crate) async fn leave(&self) {
        let ended = self.dead.clone().run_until_cancelled_owned(self.try_leave()).await;
        if ended.is_some() {
            self.seat.leave();
            self.world.witness.note(&format!("host {} has left", self.seat.number));
            self.die();
        }
    }

    async fn try_leave(&self) {
        self.change(|model| model.leaving = true);
        let me = self.id;
        let is_moved = || {
            let directory = self.node.directory();
            let others = directory.hosts().iter().any(|(host, known)| *host != me && !known.beat.draining);
            self.model().declared() == 0 || !others
        };
        until(LEAVE_MAX, is_moved).await;
        self.change(|model| model.closing = true);
        until(DRAIN_MAX, || self.model().is_idle()).await;
        self.change(|model| model.slots.clear());
        self.node.leave(DRAIN_MAX).await;
        self.bus.drain().await;
    }

    /// Lets an order of an earlier leader arrive once more, as one that was on its way for long. Returns whether there
    /// was one.
    pub(crate) async fn hear_late_order(&self) -> bool {
        let earlier = self.obeyed.lock().unwrap_or_else(PoisonError::into_inner).earlier.clone();
        let Some(order) = earlier else { return false };
        let addressed = subject::control_host(&self.world.lattice, "wattle.late", &self.id);
        self.bus.publish(&addressed, None, &[], order).await.is_ok()
    }

    /// Returns what keeps changes of one thing in order.
    fn lock_of(&self, place: &Place) -> Arc<Lock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(place.clone()).or_default().clone()
    }
}

/// Waits until something holds, for a bounded time.
async fn until(most: Duration, holds: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + most;
    while !holds() && tokio::time::Instant::now() < end {
        sleep(LOOK_EVERY).await;
    }
}

pub(crate) fn cluster_key() -> KeyPair {
    #[expect(clippy::expect_used, reason = "only curve keys cannot be made of bytes")]
    KeyPair::from_seed_bytes(KeyKind::Cluster, [7; 32]).expect("bytes are a cluster's key")
}
