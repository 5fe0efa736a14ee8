//! The machine a simulated host runs on: its randomness, and a clock that may be wrong.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokio::time::Instant;
use wattle_lattice::rpc::{NoRandomness, Surroundings};

use crate::chance::Chance;

/// When simulated time begins, in seconds since 1970.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// A machine. It outlives the processes of its host.
#[derive(Debug)]
pub(crate) struct Machine {
    chance: Chance,
    start: Instant,
    /// Seconds by which its clock is ahead.
    skew: AtomicI64,
}

impl Machine {
    pub(crate) fn new(chance: Chance, start: Instant) -> Arc<Self> {
        Arc::new(Self { chance, start, skew: AtomicI64::new(0) })
    }

    /// Returns whether its clock is right.
    pub(crate) fn is_right(&self) -> bool {
        self.skew.load(Ordering::Relaxed) == 0
    }

    /// Returns the time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.unix_millis()
    }

    pub(crate) fn set_skew(&self, seconds: i64) {
        self.skew.store(seconds, Ordering::Relaxed);
    }
}

impl Surroundings for Machine {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.chance.fill(bytes);
        Ok(())
    }

    fn unix_now(&self) -> u64 {
        self.unix_millis() / 1000
    }

    fn unix_millis(&self) -> u64 {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        (EPOCH * 1000).saturating_add(elapsed).saturating_add_signed(self.skew.load(Ordering::Relaxed) * 1000)
    }
}
