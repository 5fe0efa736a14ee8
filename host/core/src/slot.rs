//! A place whose content is replaced while it is in use.
//!
//! Invariant: whoever enters a slot stays in the generation it entered, and that generation's content lives until the
//! last one has left, however long ago it was replaced.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::flight::Flight;

/// One version of a slot's content.
#[derive(Debug)]
pub(crate) struct Generation<T> {
    number: u64,
    flight: Flight,
    content: T,
}

/// What became of the calls inside a generation that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drained {
    /// How many were inside when it was closed.
    pub(crate) found: usize,
    /// How many were still inside when the wait was over.
    pub(crate) left: usize,
}

/// Holds the current generation behind one atomic pointer, and at times a newer one on trial beside it.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    current: ArcSwap<Generation<T>>,
    trial: ArcSwapOption<Trial<T>>,
}

/// A newer generation that takes a share of the calls, to see how it does.
#[derive(Debug)]
struct Trial<T> {
    generation: Arc<Generation<T>>,
    percent: u8,
    turn: AtomicU64,
}

impl<T> Trial<T> {
    /// Decides for each call in turn, so that the share is exact and evenly spread.
    fn takes_next(&self) -> bool {
        let (turn, percent) = (self.turn.fetch_add(1, Ordering::Relaxed) % 100, u64::from(self.percent));
        turn * percent / 100 != (turn + 1) * percent / 100
    }
}

/// One call's stay inside a generation.
#[derive(Debug)]
pub(crate) struct Inside<T>(Arc<Generation<T>>);

impl<T> Slot<T> {
    /// Makes a slot with its first generation, number 1.
    pub(crate) fn new(content: T) -> Self {
        let current = ArcSwap::from_pointee(Generation { number: 1, flight: Flight::default(), content });
        Self { current, trial: ArcSwapOption::empty() }
    }

    /// Returns the current generation, without entering it.
    pub(crate) fn current(&self) -> Arc<Generation<T>> {
        self.current.load_full()
    }

    /// Returns the generation on trial.
    pub(crate) fn trial(&self) -> Option<Arc<Generation<T>>> {
        self.trial.load().as_ref().map(|trial| trial.generation.clone())
    }

    /// Enters the current generation, or in its turn the one on trial; `None` when the slot is closed for good.
    pub(crate) fn enter(&self) -> Option<Inside<T>> {
        if let Some(trial) = self.trial.load().as_ref()
            && trial.takes_next()
            && trial.generation.flight.enter()
        {
            return Some(Inside(trial.generation.clone()));
        }
        let mut generation = self.current.load_full();
        while !generation.flight.enter() {
            // Closed: either replaced in this moment, then there is another one to enter, or closed for good.
            let newer = self.current.load_full();
            if Arc::ptr_eq(&newer, &generation) {
                return None;
            }
            generation = newer;
        }
        Some(Inside(generation))
    }

    /// Makes `content` current and returns the generation it replaced, which the caller drains.
    ///
    /// Changes of one slot must not run at the same time; the host's change locks see to it.
    pub(crate) fn publish(&self, content: T) -> Arc<Generation<T>> {
        let newest = self.trial().map_or(0, |trial| trial.number).max(self.current.load().number);
        self.current.swap(Arc::new(Generation { number: newest + 1, flight: Flight::default(), content }))
    }

    /// Lets `content` take `percent` of the calls beside the current generation. A trial that ran is replaced and
    /// returned, for the caller to drain. The same rule as for [`Slot::publish`] holds.
    pub(crate) fn begin_trial(&self, content: T, percent: u8) -> Option<Arc<Generation<T>>> {
        let number = self.current.load().number + 1;
        let generation = Arc::new(Generation { number, flight: Flight::default(), content });
        let trial = Trial { generation, percent: percent.min(100), turn: AtomicU64::new(0) };
        self.trial.swap(Some(Arc::new(trial))).map(|old| old.generation.clone())
    }

    /// Makes the generation on trial current; returns the one it replaced, for the caller to drain.
    pub(crate) fn promote(&self) -> Option<Arc<Generation<T>>> {
        let trial = self.trial.load_full()?;
        let old = self.current.swap(trial.generation.clone());
        self.trial.store(None);
        Some(old)
    }

    /// Ends the trial; returns its generation, for the caller to drain.
    pub(crate) fn withdraw(&self) -> Option<Arc<Generation<T>>> {
        self.trial.swap(None).map(|trial| trial.generation.clone())
    }
}

impl<T> Generation<T> {
    /// Returns how many generations the slot has had, up to this one.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns how many calls are inside.
    pub(crate) fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// Waits until nobody is inside, without closing the door.
    pub(crate) async fn emptied(&self) {
        self.flight.emptied().await;
    }

    /// Lets nobody in any more and waits until all are out, at most for `wait`.
    pub(crate) async fn drain(&self, wait: Duration) -> Drained {
        let found = self.flight.close();
        let left = match tokio::time::timeout(wait, self.flight.emptied()).await {
            Ok(()) => 0,
            Err(_) => self.flight.len(),
        };
        Drained { found, left }
    }
}

impl<T> Deref for Generation<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
    }
}

impl<T> Inside<T> {
    /// Returns the generation.
    pub(crate) const fn generation(&self) -> &Arc<Generation<T>> {
        &self.0
    }
}

impl<T> Deref for Inside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.content
    }
}

impl<T> Drop for Inside<T> {
    fn drop(&mut self) {
        self.0.flight.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_stays_in_the_generation_it_entered() {
        let slot = Slot::new("old");
        let inside = slot.enter().unwrap();
        let old = slot.publish("new");
        assert_eq!((*inside, **slot.current()), ("old", "new"));
        assert_eq!(slot.current().number(), 2);
        assert_eq!(old.drain(Duration::from_secs(1)).await, Drained { found: 1, left: 1 });
        drop(inside);
        assert_eq!(old.drain(Duration::from_secs(1)).await, Drained { found: 0, left: 0 });
        assert_eq!(*slot.enter().unwrap(), "new");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_takes_its_share_until_it_is_promoted_or_withdrawn() {
        let slot = Slot::new("old");
        assert!(slot.promote().is_none() && slot.withdraw().is_none());
        let share = |slot: &Slot<&str>| (0..200).filter(|_| *slot.enter().unwrap() == "new").count();
        assert!(slot.begin_trial("new", 10).is_none());
        assert_eq!((share(&slot), **slot.current()), (20, "old"));
        let trial = slot.withdraw().unwrap();
        assert_eq!(trial.drain(Duration::from_secs(1)).await, Drained { found: 0, left: 0 });
        assert_eq!(share(&slot), 0);
        slot.begin_trial("new", 33);
        assert_eq!(share(&slot), 66);
        assert_eq!(**slot.promote().unwrap(), "old");
        assert_eq!((share(&slot), slot.current().number(), slot.trial().is_none()), (200, 2, true));
    }

    #[tokio::test]
    async fn a_slot_closed_for_good_admits_nobody() {
        let slot = Slot::new(());
        slot.current().drain(Duration::ZERO).await;
        assert!(slot.enter().is_none());
    }
}
