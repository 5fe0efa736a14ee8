//! Everything left to chance: streams of numbers that follow from a seed, one for each part of a run.

use std::{
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// One stream. Shared by reference: the thread is one, so the order of draws is fixed.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<ChaCha8Rng>);

impl Chance {
    /// Makes a stream of a seed. Parts of a run with streams of their own do not disturb each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(Mutex::new(rng))
    }

    fn next(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    /// Returns a number below `bound`, or 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let drawn = self.next().checked_rem(u64::try_from(bound).unwrap_or(u64::MAX)).unwrap_or_default();
        usize::try_from(drawn).unwrap_or_default()
    }

    /// Returns true `permille` times of 1000.
    pub(crate) fn happens(&self, permille: u32) -> bool {
        self.below(1000) < permille as usize
    }

    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    pub(crate) fn millis(&self, range: RangeInclusive<u64>) -> Duration {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        Duration::from_millis(range.start() + self.next() % width)
    }
}
