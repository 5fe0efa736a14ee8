//! Ending the calls of one generation from outside.

use tokio_util::sync::CancellationToken;

/// Ends every call it was given to, once and for all. Clones are the same interrupt.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(CancellationToken);

impl Interrupt {
    /// Ends all calls that hold this interrupt, running and future ones, with
    /// [`GuestError::Interrupted`](crate::GuestError::Interrupted).
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Returns whether [`Self::trigger`] was called.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    pub(crate) async fn triggered(&self) {
        self.0.cancelled().await;
    }
}
