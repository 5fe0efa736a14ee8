//! All there is in one run: the network, where hosts run, and who watches.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_bus::sim::{Cut, Faults, Flaw, SimNet};
use wattle_types::{HostId, LatticeId};

use crate::{Planted, chance::Chance, host::SimHost, names, plan::Plan, surroundings::Machine, witness::Witness};

/// Streams of chance, by what draws from them; hosts have one each, after these.
pub(crate) mod stream {
    pub(crate) const PLAN: u64 = 1;
    pub(crate) const FAULTS: u64 = 2;
    pub(crate) const OPERATORS: u64 = 3;
    pub(crate) const LOAD: u64 = 4;
    pub(crate) const REQUESTS: u64 = 5;
    pub(crate) const STRANGER: u64 = 6;
    pub(crate) const SEATS: u64 = 100;
}

/// Where a host runs. It stays when the host's process ends.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) number: u8,
    pub(crate) id: HostId,
    pub(crate) machine: Arc<Machine>,
    pub(crate) chance: Arc<Chance>,
    state: Mutex<Occupied>,
}

#[derive(Debug, Default)]
struct Occupied {
    host: Option<Arc<SimHost>>,
    is_starting: bool,
    starts: u32,
    weather: Faults,
    cut: Cut,
}

/// All there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) begun: Instant,
    pub(crate) plan: Plan,
    pub(crate) planted: Option<Planted>,
    pub(crate) net: SimNet,
    pub(crate) lattice: LatticeId,
    pub(crate) seats: Vec<Arc<Seat>>,
    pub(crate) witness: Witness,
    /// Nothing more is begun: no faults, no actions, no calls.
    pub(crate) calm_down: CancellationToken,
    pub(crate) tasks: TaskTracker,
    trouble: AtomicU32,
}

impl World {
    pub(crate) fn new(seed: u64, planted: Option<Planted>) -> Arc<Self> {
        let plan = Plan::of(&Chance::new(seed, stream::PLAN));
        let (start, net) = (Instant::now(), SimNet::new(seed));
        net.set_flaw(match planted {
            Some(Planted::BothAccepted) => Some(Flaw::BothAccepted),
            Some(Planted::SilentPurge) => Some(Flaw::SilentPurge),
            _ => None,
        });
        let seats = (0..plan.hosts).map(|number| Arc::new(Seat::new(seed, number, start))).collect();
        Arc::new(Self {
            seed,
            begun: start,
            planted,
            net,
            lattice: LatticeId::default(),
            seats,
            witness: Witness::new(),
            calm_down: CancellationToken::new(),
            tasks: TaskTracker::new(),
            trouble: AtomicU32::new(plan.trouble),
            plan,
        })
    }

    /// Returns the hosts that run now.
    pub(crate) fn hosts(&self) -> Vec<Arc<SimHost>> {
        self.seats.iter().filter_map(|seat| seat.host()).collect()
    }

    /// Returns how many of 1000 orders fail on their host now.
    pub(crate) fn trouble(&self) -> u32 {
        self.trouble.load(Ordering::Relaxed)
    }

    /// Mends everything: the network, the clocks, the hosts' troubles.
    pub(crate) fn heal(&self) {
        self.trouble.store(0, Ordering::Relaxed);
        for seat in &self.seats {
            seat.set_weather(Faults::default());
            seat.set_cut(Cut::None);
            seat.machine.set_skew(0);
        }
    }

    /// Has a host run at each seat where none does.
    pub(crate) fn fill_seats(self: &Arc<Self>) {
        for seat in &self.seats {
            self.start(seat);
        }
    }

    /// Starts a host, unless one runs there or is being started.
    pub(crate) fn start(self: &Arc<Self>, seat: &Arc<Seat>) {
        let start = {
            let mut state = seat.state();
            if state.host.is_some() || state.is_starting {
                return;
            }
            state.is_starting = true;
            state.starts += 1;
            state.starts
        };
        let (world, seat) = (Arc::clone(self), Arc::clone(seat));
        self.tasks.spawn(async move {
            let host = SimHost::start(&world, &seat, start).await;
            let mut state = seat.state();
            state.is_starting = false;
            world.witness.note(&format!("host {} runs: start {start}", seat.number));
            state.host = Some(host);
        });
    }

    /// Ends what holds on to the world.
    pub(crate) fn end(&self) {
        for seat in &self.seats {
            seat.state().host = None;
        }
    }
}

impl Seat {
    fn new(seed: u64, number: u8, start: Instant) -> Self {
        let stream = stream::SEATS + 2 * u64::from(number);
        Self {
            number,
            id: names::host(number),
            machine: Machine::new(Chance::new(seed, stream), start),
            chance: Arc::new(Chance::new(seed, stream + 1)),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Occupied> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> String {
        format!("h{}", self.number)
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let zone = if self.number.is_multiple_of(2) { "even" } else { "odd" };
        [("zone".to_owned(), zone.to_owned())].into()
    }

    pub(crate) fn host(&self) -> Option<Arc<SimHost>> {
        self.state().host.clone()
    }

    /// Takes out the host that runs here, because it ends.
    pub(crate) fn leave(&self) -> Option<Arc<SimHost>> {
        self.state().host.take()
    }

    pub(crate) fn weather(&self) -> (Faults, Cut) {
        let state = self.state();
        (state.weather.clone(), state.cut)
    }

    pub(crate) fn set_weather(&self, faults: Faults) {
        let host = {
            let mut state = self.state();
            state.weather = faults.clone();
            state.host.clone()
        };
        if let Some(host) = host {
            host.bus().set_faults(faults);
        }
    }

    pub(crate) fn set_cut(&self, cut: Cut) {
        let host = {
            let mut state = self.state();
            state.cut = cut;
            state.host.clone()
        };
        if let Some(host) = host {
            host.bus().cut(cut);
        }
    }
}
