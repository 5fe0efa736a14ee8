//! What a server holds of all its requests together, bounded: their bodies, and the answers that nobody has read yet.
//!
//! A limit for each of them is no limit for memory: clients are many, and nobody knows them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that requests may hold at one time.
#[derive(Debug)]
pub(crate) struct Budget {
    total: usize,
    free: AtomicUsize,
}

/// The budget has fewer bytes left than asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) total: usize,
}

/// What one request holds of a budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Budget {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, free: AtomicUsize::new(total) })
    }

    /// Makes a share of nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), held: 0 }
    }
}

impl Share {
    /// Takes more of the budget.
    ///
    /// # Errors
    /// [`Exhausted`]; the share is then as it was.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let less = |free: usize| free.checked_sub(bytes);
        self.budget
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .map_err(|_| Exhausted { total: self.budget.total })?;
        self.held += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.free.fetch_add(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_take_no_more_than_there_is_and_give_all_back() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert_eq!(first.take(6), Ok(()));
        assert_eq!(second.take(5), Err(Exhausted { total: 10 }));
        assert_eq!(second.take(3), Ok(()));
        assert_eq!(second.take(1), Ok(()));
        assert_eq!(first.take(1), Err(Exhausted { total: 10 }));
        drop(second);
        assert_eq!(first.take(4), Ok(()));
        drop(first);
        assert_eq!(budget.share().take(10), Ok(()));
        assert_eq!(budget.share().take(usize::MAX), Err(Exhausted { total: 10 }));
    }
}
