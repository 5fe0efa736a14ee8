//! How many sandboxes may exist at once.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wattle_types::Deadline;

use crate::{GuestError, Interrupt};

/// So many sandboxes may leave pages in memory for those that come after them in the pool: as many as a small machine
/// has in use while all goes well. Each leaves some MiB at most.
const LEAVE_PAGES: usize = 16;

/// Room for one sandbox, which keeps it for as long as it lives.
pub(crate) struct Slot {
    place: OwnedSemaphorePermit,
    all: usize,
}

impl Slot {
    /// Returns whether more slots are taken than there may be sandboxes that leave pages in memory.
    pub(crate) fn is_one_of_many(&self) -> bool {
        self.all.saturating_sub(self.place.semaphore().available_permits()) > LEAVE_PAGES
    }
}

/// Room for sandboxes.
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    all: usize,
    waiting: AtomicUsize,
}

impl Slots {
    pub(crate) fn new(all: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(all as usize)), all: all as usize, waiting: AtomicUsize::new(0) }
    }

    /// Takes a free slot, or waits for one, but not past the call's deadline or an interrupt.
    ///
    /// `evict` is to drop a sandbox that nobody uses, if there is one.
    pub(crate) async fn take(
        &self,
        deadline: Deadline,
        interrupt: &Interrupt,
        evict: impl FnOnce(),
    ) -> Result<Slot, GuestError> {
        let slot = |place| Slot { place, all: self.all };
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Ok(slot(place));
        }
        // Said before looking for an idle one: whoever puts one away later sees it, and drops the sandbox instead.
        let _waiting = Waiting::new(&self.waiting);
        let mut turn = pin!(self.free.clone().acquire_owned());
        // Queued before one is evicted, so that nobody who comes later takes its slot.
        if let Some(Ok(place)) = now_or_never(turn.as_mut()).await {
            return Ok(slot(place));
        }
        evict();
        tokio::select! {
            biased;
            place = turn => place.map(slot).map_err(|_| GuestError::Overloaded { limit: self.all }),
            () = interrupt.triggered() => Err(GuestError::Interrupted),
            () = tokio::time::sleep_until(deadline.instant().into()) => Err(GuestError::Overloaded { limit: self.all }),
        }
    }

    /// Returns whether somebody waits for a slot.
    pub(crate) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Polls a future once.
async fn now_or_never<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
