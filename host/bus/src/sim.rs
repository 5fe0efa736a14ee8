//! A network for simulations: seeded, faulty, and the same in every run.
//!
//! Everything happens in one thread on tokio's (paused) time: a message travels from a connection to the broker and
//! from there to others, each way with a delay, and may be lost, doubled or overtaken. The broker has a JetStream of
//! its own, so buckets are used by the very code that talks to a real one. What is promised is what NATS promises:
//!
//! - Subscribing, unsubscribing and what JetStream tells a watch are delayed and cut off, but neither lost otherwise,
//!   nor doubled in effect, nor overtaken: in a real network TCP sees to that.
//! - JetStream applies a request once, however often it arrives; its answer may be lost, and then nobody knows.
//! - A connection cut upwards knows so after 2 s ([`DETECTION`]), and the broker then forgets it until it is back.
//!
//! Invariants: whatever is chosen comes from one generator, in the order of events; no lock is held over an await.

mod broker;
mod bus;
mod jetstream;
mod log;
mod world;

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};

pub use bus::SimBus;
use world::World;

/// How long a connection is cut upwards before both ends know.
pub const DETECTION: Duration = Duration::from_secs(2);

/// What a connection's messages suffer. Changes concern messages sent later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// How long a message takes each way, in whole milliseconds.
    pub delay: RangeInclusive<Duration>,
    /// How many of 1000 messages are lost, each way.
    pub loss: u32,
    /// How many of 1000 messages arrive twice, each way.
    pub duplication: u32,
    /// Whether messages overtake each other.
    pub reorder: bool,
    /// Messages a subscription made from now on holds before the next are lost.
    pub buffer: usize,
}

impl Default for Faults {
    /// A good network: 0 to 2 ms, nothing else.
    fn default() -> Self {
        let delay = Duration::ZERO..=Duration::from_millis(2);
        Self { delay, loss: 0, duplication: 0, reorder: false, buffer: 4096 }
    }
}

/// What is wrong with a JetStream: for suites that are to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Of two writers who expect the same revision both are told that they won, as in clusters before 2.11.
    BothAccepted,
    /// A bucket that was purged says that all in it was deleted, one by one.
    SilentPurge,
}

/// Which way a connection is cut off from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// It is not.
    #[default]
    None,
    /// What it sends is lost.
    Up,
    /// What is sent to it is lost. It never finds out by itself.
    Down,
    /// Both.
    Both,
}

/// A simulated network with its broker. Clones share it; it ends with the last of them and of its connections.
#[derive(Clone)]
pub struct SimNet {
    inner: Arc<Inner>,
}

struct Inner {
    world: Mutex<World>,
    /// Tells the scheduler that there is something earlier to do.
    wake: Arc<Notify>,
    /// The scheduler; ends when this is dropped.
    _scheduler: JoinSet<()>,
}

impl Inner {
    /// A panic while the lock was held ends the simulation's test anyway.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something at this instant and has the scheduler look at what follows.
    fn act<T>(&self, act: impl FnOnce(&mut World, Instant) -> T) -> T {
        let done = act(&mut self.lock(), Instant::now());
        self.wake.notify_one();
        done
    }
}

impl SimNet {
    /// Makes a network in which everything left to chance follows from `seed`.
    ///
    /// # Panics
    /// Outside a tokio runtime. Only on a current-thread runtime with paused time are two runs the same.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let wake = Arc::new(Notify::new());
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let mut scheduler = JoinSet::new();
            scheduler.spawn(schedule(inner.clone(), Arc::clone(&wake)));
            let world = Mutex::new(World::new(seed, Instant::now()));
            Inner { world, wake: Arc::clone(&wake), _scheduler: scheduler }
        });
        Self { inner }
    }

    /// Makes a connection. Its name is for the log; a host that starts again connects again under its old one.
    #[must_use]
    pub fn connect(&self, name: &str) -> SimBus {
        let id = self.inner.lock().connect(name);
        SimBus::new(Arc::clone(&self.inner), id)
    }

    /// Sets what connections made from now on suffer.
    pub fn set_default_faults(&self, faults: Faults) {
        self.inner.lock().defaults = faults;
    }

    /// Ends the broker and starts it again: whatever was on its way and all watches of buckets are lost, what is
    /// stored is kept, and every connection that is not cut off is made anew.
    pub fn restart_broker(&self) {
        self.inner.act(World::restart);
    }

    /// Loses a bucket and all in it.
    pub fn lose_bucket(&self, name: &str) {
        self.inner.lock().store.lose(name);
    }

    /// Empties a bucket, which stays and tells nobody.
    pub fn purge_bucket(&self, name: &str) {
        self.inner.lock().store.purge(name);
    }

    /// Makes JetStream worse than it may be, from now on.
    pub fn set_flaw(&self, flaw: Option<Flaw>) {
        self.inner.lock().store.flaw = flaw;
    }

    /// Returns the SHA-256, in hexadecimal, over all that arrived or was lost so far.
    #[must_use]
    pub fn log_hash(&self) -> String {
        self.inner.lock().log.hash()
    }

    /// Returns the last 10 000 lines of what arrived or was lost.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.inner.lock().log.text()
    }
}

impl std::fmt::Debug for SimNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimNet")
    }
}

/// Lets everything happen when it is due.
async fn schedule(inner: Weak<Inner>, wake: Arc<Notify>) {
    loop {
        let due = match inner.upgrade() {
            Some(inner) => inner.lock().run(Instant::now()),
            // Not made yet, or gone: whoever makes or uses it wakes us, whoever drops it ends us.
            None => None,
        };
        let next = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = wake.notified() => {}
            () = next => {}
        }
    }
}

#[cfg(test)]
mod tests;
