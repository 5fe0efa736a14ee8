//! Counts the calls inside one generation, so that it can be drained.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Set in the counter once nobody may enter any more.
const CLOSED: usize = 1 << (usize::BITS - 1);
/// Set in the counter once somebody waits for it to be empty.
const WATCHED: usize = 1 << (usize::BITS - 2);
const FLAGS: usize = CLOSED | WATCHED;

/// A door and a counter: calls enter while it is open, and the last one out after closing is noticed.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    state: AtomicUsize,
    empty: Notify,
}

impl Flight {
    /// Enters, unless closed. Each success must be paired with one [`Flight::leave`].
    pub(crate) fn enter(&self) -> bool {
        if self.state.fetch_add(1, Ordering::AcqRel) & CLOSED == 0 {
            return true;
        }
        self.leave();
        false
    }

    /// Leaves.
    pub(crate) fn leave(&self) {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before & FLAGS != 0 && before & !FLAGS == 1 {
            self.empty.notify_waiters();
        }
    }

    /// Lets nobody enter from now on, and returns how many are inside.
    pub(crate) fn close(&self) -> usize {
        self.state.fetch_or(CLOSED, Ordering::AcqRel) & !FLAGS
    }

    /// Returns how many are inside.
    pub(crate) fn len(&self) -> usize {
        self.state.load(Ordering::Acquire) & !FLAGS
    }

    /// Waits until nobody is inside. Who is not closed out may enter again in the same moment.
    pub(crate) async fn emptied(&self) {
        self.state.fetch_or(WATCHED, Ordering::AcqRel);
        loop {
            let emptied = self.empty.notified();
            tokio::pin!(emptied);
            // Registered before the check, so that a call that leaves in between is not missed.
            emptied.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_after_closing() {
        let flight = Flight::default();
        assert!(flight.enter());
        assert_eq!(flight.close(), 1);
        assert!(!flight.enter());
        assert_eq!(flight.len(), 1);
    }

    #[tokio::test]
    async fn the_last_one_out_ends_the_wait() {
        let flight = std::sync::Arc::new(Flight::default());
        assert!(flight.enter() && flight.enter());
        flight.close();
        let waiter = flight.clone();
        let mut waiting = Box::pin(async move { waiter.emptied().await });
        flight.leave();
        assert!(futures::poll!(&mut waiting).is_pending());
        flight.leave();
        assert!(futures::poll!(&mut waiting).is_ready());
    }

    #[tokio::test]
    async fn an_empty_flight_needs_no_wait() {
        let flight = Flight::default();
        flight.close();
        flight.emptied().await;
    }
}
