//! How many sandboxes may run at once.

use tokio::sync::{Semaphore, SemaphorePermit};
use wattle_types::Deadline;

use crate::{GuestError, Interrupt};

/// Room for running sandboxes.
pub(crate) struct Slots {
    free: Semaphore,
    all: usize,
}

impl Slots {
    pub(crate) fn new(all: u32) -> Self {
        Self { free: Semaphore::new(all as usize), all: all as usize }
    }

    /// Waits for a free slot, but not past the call's deadline or an interrupt.
    pub(crate) async fn take(
        &self,
        deadline: Deadline,
        interrupt: &Interrupt,
    ) -> Result<SemaphorePermit<'_>, GuestError> {
        if let Ok(slot) = self.free.try_acquire() {
            return Ok(slot);
        }
        tokio::select! {
            biased;
            slot = self.free.acquire() => slot.map_err(|_| GuestError::Overloaded { limit: self.all }),
            () = interrupt.triggered() => Err(GuestError::Interrupted),
            () = tokio::time::sleep_until(deadline.instant().into()) => Err(GuestError::Overloaded { limit: self.all }),
        }
    }
}
