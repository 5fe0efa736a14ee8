//! Ending the calls of one generation from outside.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Ends every call it was given to, once and for all. Clones are the same interrupt.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Shared>);

/// Each call looks at it several times, on all threads at once: reading must not write to shared memory.
#[derive(Debug, Default)]
struct Shared {
    triggered: AtomicBool,
    waiting: Notify,
}

impl Interrupt {
    /// Ends all calls that hold this interrupt, running and future ones, with
    /// [`GuestError::Interrupted`](crate::GuestError::Interrupted).
    pub fn trigger(&self) {
        self.0.triggered.store(true, Ordering::Release);
        self.0.waiting.notify_waiters();
    }

    /// Returns whether [`Self::trigger`] was called.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::Acquire)
    }

    pub(crate) async fn triggered(&self) {
        let mut notified = std::pin::pin!(self.0.waiting.notified());
        // Listens before it looks, so that no trigger falls in between.
        notified.as_mut().enable();
        if !self.is_triggered() {
            notified.await;
        }
    }
}
