//! A value that changes, and those who wait for that.
//!
//! As tokio's channel of this name, but whoever waits is woken in the order in which it began to wait, where tokio
//! chooses at random: what follows from a change is then the same in every run of a simulation.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

#[derive(Debug)]
struct Inner<T> {
    value: Mutex<(T, u64)>,
    changed: Notify,
    senders: AtomicUsize,
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, (T, u64)> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The senders are gone: there will be no further change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody changes it any more")]
pub struct Ended;

/// Changes the value. With the last clone dropped there are no further changes.
#[derive(Debug)]
pub struct Sender<T>(Arc<Inner<T>>);

/// Sees the value, and waits for changes.
#[derive(Debug, Clone)]
pub struct Receiver<T> {
    inner: Arc<Inner<T>>,
    seen: u64,
}

/// Makes a value, and somebody who watches it.
#[must_use]
pub fn channel<T: Clone>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T: Clone> Sender<T> {
    /// Makes a value that nobody watches yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        let senders = AtomicUsize::new(1);
        Self(Arc::new(Inner { value: Mutex::new((value, 0)), changed: Notify::new(), senders }))
    }

    /// Begins to watch: the value as it is counts as seen.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { inner: Arc::clone(&self.0), seen: self.0.lock().1 }
    }

    /// Returns the value.
    #[must_use]
    pub fn borrow(&self) -> T {
        self.0.lock().0.clone()
    }

    /// Changes the value, and wakes all who wait.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        {
            let mut value = self.0.lock();
            modify(&mut value.0);
            value.1 += 1;
        }
        self.0.changed.notify_waiters();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T: Clone> Receiver<T> {
    /// Returns the value; that does not count as seen.
    #[must_use]
    pub fn borrow(&self) -> T {
        self.inner.lock().0.clone()
    }

    /// Waits for a change that was not seen yet, which then counts as seen.
    ///
    /// # Errors
    /// [`Ended`] when there is none and will be none.
    ///
    /// # Cancel safety
    /// Safe: a change that was not returned is still not seen.
    pub async fn changed(&mut self) -> Result<(), Ended> {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // What changes from here on wakes us.
            changed.as_mut().enable();
            let version = self.inner.lock().1;
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.inner.senders.load(Ordering::Acquire) == 0 {
                return Err(Ended);
            }
            changed.await;
        }
    }

    /// Waits until the value, as it is or becomes, is as it should be.
    ///
    /// # Errors
    /// [`Ended`] when it will not be any more.
    pub async fn wait_for(&mut self, is_right: impl Fn(&T) -> bool) -> Result<(), Ended> {
        loop {
            self.mark_unchanged();
            if is_right(&self.borrow()) {
                return Ok(());
            }
            self.changed().await?;
        }
    }

    /// Makes the value as it is count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.inner.lock().1;
    }

    /// Makes the value as it is count as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = self.inner.lock().1.wrapping_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{task::JoinSet, time::sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_are_woken_in_the_order_in_which_they_wait() {
        let sender = Sender::new(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for number in 0..50 {
            let (mut receiver, order) = (sender.subscribe(), Arc::clone(&order));
            tasks.spawn(async move {
                receiver.changed().await.unwrap();
                order.lock().unwrap().push(number);
            });
            sleep(Duration::from_millis(1)).await;
        }
        sender.send_modify(|value| *value = 1);
        tasks.join_all().await;
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_once_and_the_end_always() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        sender.send_modify(|value| *value = 1);
        assert_eq!((receiver.changed().await, receiver.borrow()), (Ok(()), 1));
        receiver.mark_changed();
        assert_eq!(receiver.changed().await, Ok(()));
        sender.send_modify(|value| *value = 2);
        receiver.mark_unchanged();
        drop(sender);
        assert_eq!(receiver.changed().await, Err(Ended));
    }
}
