//! Counting what is in use, up to a limit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How much is in use.
#[derive(Debug)]
pub(super) struct Gauge {
    used: AtomicUsize,
    max: usize,
}

/// A part of a gauge, given back when dropped.
#[derive(Debug)]
pub(super) struct Taken {
    gauge: Arc<Gauge>,
    amount: usize,
}

impl Gauge {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    /// Takes `amount` if there is so much left.
    pub(super) fn take(self: &Arc<Self>, amount: usize) -> Option<Taken> {
        let more = |used: usize| used.checked_add(amount).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Taken { gauge: Arc::clone(self), amount })
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.gauge.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_is_dropped_comes_back() {
        let gauge = Gauge::new(3);
        let two = gauge.take(2).unwrap();
        assert!(gauge.take(2).is_none() && gauge.take(usize::MAX).is_none());
        let _one = gauge.take(1).unwrap();
        drop(two);
        assert_eq!((gauge.used(), gauge.max()), (1, 3));
    }
}
