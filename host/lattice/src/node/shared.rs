//! The lattice's shared state, as one host has it: a copy kept by watching, and compare-and-set edits.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_bus::{Bus, Expect, KvError, KvEvent, KvLast, KvStore, KvWatch, watch};
use wattle_types::LatticeId;

use crate::spec::{self, Bucket, Changed, Edit, EditError, LatticeData, config_bucket, lattice_bucket};

mod links;
mod names;
mod restore;
mod rollouts;

/// How often an edit begins anew because somebody else wrote the same entry.
const ATTEMPTS_MAX: usize = 16;
/// How long a write may take to come back by the watch.
const APPLIED_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first copy may take.
const CAUGHT_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the shared state was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] KvError),
    /// The entry cannot be changed that way.
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl SharedError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Edit(error) => error.code(),
        }
    }
}

/// Both buckets. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    lattice: Arc<dyn KvStore>,
    config: Arc<dyn KvStore>,
    data: Mutex<LatticeData>,
    /// Counts changes of the copy.
    changes: watch::Sender<u64>,
    /// Counts changes of links and configurations.
    link_changes: watch::Sender<u64>,
    /// How many times the watch of [`Bucket::Lattice`] began anew.
    resets: AtomicU64,
    /// Whether both copies are whole.
    caught_up: watch::Sender<[bool; 2]>,
}

impl Shared {
    /// Opens the buckets of a lattice, makes them if they are not there, and copies what they hold.
    ///
    /// # Errors
    /// [`KvError`] when NATS is gone, or has no JetStream.
    pub async fn open(
        bus: &dyn Bus,
        lattice: &LatticeId,
        tasks: &TaskTracker,
        end: &CancellationToken,
    ) -> Result<Self, KvError> {
        let shared = Self(Arc::new(Inner {
            lattice: bus.bucket(&lattice_bucket(lattice)).await?,
            config: bus.bucket(&config_bucket(lattice)).await?,
            data: Mutex::default(),
            changes: watch::Sender::new(0),
            link_changes: watch::Sender::new(0),
            resets: AtomicU64::new(0),
            caught_up: watch::Sender::new([false; 2]),
        }));
        // Whoever is not opened ends, too.
        let end = end.child_token();
        let ends = end.clone().drop_guard();
        for bucket in [Bucket::Lattice, Bucket::Config] {
            let events = shared.store(bucket).watch().await?;
            tasks.spawn(follow(shared.clone(), bucket, events, end.clone()));
        }
        let mut caught_up = shared.0.caught_up.subscribe();
        let both = caught_up.wait_for(|done| done == &[true; 2]);
        match tokio::time::timeout(CAUGHT_UP_TIMEOUT, both).await {
            Ok(_) => {
                ends.disarm();
                Ok(shared.clone())
            }
            Err(_) => Err(KvError::TimedOut { waited: CAUGHT_UP_TIMEOUT }),
        }
    }

    /// Looks at the copy. Not to be kept waiting.
    pub fn read<T>(&self, look: impl FnOnce(&LatticeData) -> T) -> T {
        look(&self.0.data.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells when the copy has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Tells when a link, or a named configuration, has changed.
    #[must_use]
    pub fn link_changes(&self) -> watch::Receiver<u64> {
        self.0.link_changes.subscribe()
    }

    /// Returns how many times the watch of the lattice's bucket began anew: revisions may be lower then.
    pub(super) fn resets(&self) -> u64 {
        self.0.resets.load(Ordering::Relaxed)
    }

    /// Changes an entry by compare-and-set, and waits until the copy has it.
    ///
    /// `edit` gets the entry's value and is asked again when somebody else wrote it meanwhile. Where the store has
    /// nothing, not even a trace of a deletion, it has lost what the copy has: `edit` gets that. Returns the revision
    /// that was written, or `None` if the entry said so already.
    ///
    /// # Errors
    /// [`SharedError::Edit`] with what `edit` says, or if no host would take the entry; [`SharedError::Store`] when the
    /// store cannot be written, or others write the entry all the time.
    pub async fn edit(
        &self,
        bucket: Bucket,
        key: &str,
        edit: impl Fn(Option<&[u8]>) -> Result<Edit, EditError>,
    ) -> Result<Option<u64>, SharedError> {
        let store = self.store(bucket);
        for _ in 0..ATTEMPTS_MAX {
            let (value, expect) = match store.last(key).await? {
                Some(KvLast { value: None, .. }) => (None, Expect::Absent),
                Some(KvLast { value, revision }) => (value, Expect::Revision(revision)),
                None => (self.lost(bucket, key), Expect::Unwritten),
            };
            let is_lost = expect == Expect::Unwritten && value.is_some();
            let value: Option<&[u8]> = value.as_deref();
            let Edit::Write(next) = edit(value)? else { return Ok(None) };
            spec::check(bucket, key, value, &next)?;
            match store.put(key, next.clone(), expect).await {
                // In a bucket that was made anew, revisions say nothing yet.
                Ok(revision) if is_lost => {
                    self.until(|data| data.stored(bucket, key) == Some((&next, revision))).await;
                    return Ok(Some(revision));
                }
                Ok(revision) => {
                    self.applied(bucket, key, revision).await;
                    return Ok(Some(revision));
                }
                Err(KvError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(KvError::Conflict { key: key.to_owned() }.into())
    }

    /// Returns what the copy has of an entry of which the store has nothing, and has what else is lost looked for.
    fn lost(&self, bucket: Bucket, key: &str) -> Option<Bytes> {
        let lost = self.read(|data| data.stored(bucket, key).map(|(value, _)| value.clone()))?;
        self.doubt();
        Some(lost)
    }

    /// Has both copies compared with what is stored, because something is gone that nobody deleted.
    pub(super) fn doubt(&self) {
        self.0.lattice.doubt();
        self.0.config.doubt();
    }

    /// Deletes an entry, and waits until the copy knows.
    ///
    /// # Errors
    /// [`SharedError::Store`].
    pub async fn delete(&self, bucket: Bucket, key: &str) -> Result<(), SharedError> {
        self.store(bucket).delete(key, Expect::Any).await?;
        self.until(|data| data.stored(bucket, key).is_none()).await;
        Ok(())
    }

    /// Returns a bucket's store.
    pub(crate) fn store(&self, bucket: Bucket) -> &Arc<dyn KvStore> {
        match bucket {
            Bucket::Lattice => &self.0.lattice,
            Bucket::Config => &self.0.config,
        }
    }

    /// Waits until the copy has at least this revision of an entry.
    async fn applied(&self, bucket: Bucket, key: &str, revision: u64) {
        self.until(|data| has(data, bucket, key, revision)).await;
    }

    /// Waits, for a bounded time, until the copy is as it should be; a watch that is late makes it no failure.
    async fn until(&self, holds: impl Fn(&LatticeData) -> bool) {
        let mut changes = self.changes();
        let waiting = async {
            while !self.read(&holds) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(APPLIED_TIMEOUT, waiting).await.is_err() {
            tracing::warn!("a write to the shared state did not come back in time");
        }
    }

    fn apply(&self, bucket: Bucket, event: KvEvent) {
        let is_caught_up = event == KvEvent::CaughtUp;
        if bucket == Bucket::Lattice && matches!(event, KvEvent::Reset { .. }) {
            self.0.resets.fetch_add(1, Ordering::Relaxed);
        }
        let changed = {
            let mut data = self.0.data.lock().unwrap_or_else(PoisonError::into_inner);
            data.apply(bucket, event)
        };
        let is_link = |change: &Changed| matches!(change, Changed::Link(_) | Changed::Config(_));
        if changed.iter().any(is_link) {
            self.0.link_changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        for change in changed {
            if let Changed::Poisoned { key, why } = change {
                tracing::error!(key, why, "an entry of the shared state is broken and not applied");
            }
        }
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
        if is_caught_up {
            self.0.caught_up.send_modify(|done| {
                if let Some(done) = done.get_mut(usize::from(bucket == Bucket::Config)) {
                    *done = true;
                }
            });
        }
    }
}

/// Whether a copy has at least this revision of an entry.
fn has(data: &LatticeData, bucket: Bucket, key: &str, revision: u64) -> bool {
    data.revision_of(bucket, key).is_some_and(|known| known >= revision)
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

async fn follow(shared: Shared, bucket: Bucket, mut events: KvWatch, end: CancellationToken) {
    let mut restoring = JoinSet::new();
    loop {
        let event = tokio::select! {
            biased;
            () = end.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(event) => {
                let is_caught_up = event == KvEvent::CaughtUp;
                shared.apply(bucket, event);
                if is_caught_up && !shared.read(|data| data.lost(bucket)).is_empty() {
                    restoring.abort_all();
                    restoring.spawn(restore::restore(shared.clone(), bucket));
                }
                while restoring.try_join_next().is_some() {}
            }
            None => return tracing::debug!("the bus has ended the watch of the shared state"),
        }
    }
}
