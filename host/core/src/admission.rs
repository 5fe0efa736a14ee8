//! How many calls of one actor run at once, and how many may wait for their turn.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use wattle_types::Deadline;

/// Why a call was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Running and waiting places are all taken.
    Full {
        /// How many there are.
        limit: usize,
    },
    /// The turn did not come before the deadline.
    TooLate,
}

/// A bounded number of running places with a bounded queue before them, first come first served.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_running: usize,
    max_waiting: usize,
}

impl Admission {
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        let max_running = max_running.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(max_running)), waiting: AtomicUsize::new(0), max_running, max_waiting }
    }

    /// Returns how many calls may run at once.
    pub(crate) const fn max_running(&self) -> usize {
        self.max_running
    }

    /// Returns how many calls wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a place to run; the place is freed when the permit is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future gives the place in the queue back.
    pub(crate) async fn admit(&self, deadline: Deadline) -> Result<OwnedSemaphorePermit, Refusal> {
        match self.places.clone().try_acquire_owned() {
            Ok(permit) => return Ok(permit),
            // Never closed: treat it like a full house.
            Err(TryAcquireError::Closed | TryAcquireError::NoPermits) => {}
        }
        let _place_in_queue = Waiting::enter(self)?;
        let turn = self.places.clone().acquire_owned();
        match tokio::time::timeout_at(deadline.instant().into(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refusal::TooLate),
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(admission: &'a Admission) -> Result<Self, Refusal> {
        let waiting = Self(&admission.waiting);
        if admission.waiting.fetch_add(1, Ordering::Relaxed) >= admission.max_waiting {
            return Err(Refusal::Full { limit: admission.max_running + admission.max_waiting });
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn in_seconds(seconds: u64) -> Deadline {
        Deadline::at((tokio::time::Instant::now() + Duration::from_secs(seconds)).into_std())
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_fair() {
        let admission = Admission::new(1, 1);
        let running = admission.admit(in_seconds(1)).await.unwrap();
        let mut waiting = Box::pin(admission.admit(in_seconds(1)));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(admission.admit(in_seconds(1)).await.unwrap_err(), Refusal::Full { limit: 2 });
        drop(running);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_never_comes_ends_at_the_deadline() {
        let admission = Admission::new(1, 1);
        let _running = admission.admit(in_seconds(1)).await.unwrap();
        assert_eq!(admission.admit(in_seconds(1)).await.unwrap_err(), Refusal::TooLate);
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }
}
