//! One change at a time for each actor and provider, whoever asks for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

/// Locks by name. Entries nobody holds are dropped as new ones are made.
#[derive(Debug, Default)]
pub(crate) struct ChangeLocks {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl ChangeLocks {
    /// Waits until nobody else changes `name`.
    pub(crate) async fn lock(&self, name: String) -> OwnedMutexGuard<()> {
        self.named(name).lock_owned().await
    }

    fn named(&self, name: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&name).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(name, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_of_one_name_wait_for_each_other() {
        let locks = ChangeLocks::default();
        let held = locks.lock("a".into()).await;
        let mut second = Box::pin(locks.lock("a".into()));
        assert!(futures::poll!(&mut second).is_pending());
        locks.lock("b".into()).await;
        drop(held);
        second.await;
        assert_eq!(locks.locks.lock().unwrap().len(), 2);
        locks.lock("c".into()).await;
        assert_eq!(locks.locks.lock().unwrap().len(), 1);
    }
}
