//! A store in one file.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use redb::{Database, DatabaseError, ReadableDatabase as _};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use wattle_provider_sdk::{KeyValue, KeyValueError};

use crate::{
    fault::Fault,
    file::{Opener, StoreFile},
    reading::Snapshot,
    tables::{Change, ENTRIES, Tables},
    writer::Writer,
};

/// Tells the time in milliseconds since 1970. Expiries are written to disk, so this must be the world's clock.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Reads at once. Each holds a thread, and more of them read no faster.
const READERS: u32 = 32;
/// How long a read waits for its turn.
const READ_WAIT: Duration = Duration::from_secs(2);

/// A store in one file.
pub struct RedbStore {
    file: Arc<StoreFile>,
    readers: Arc<Semaphore>,
    writer: Writer,
    clock: Clock,
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Opens the file, making it and its folder if they are missing, and repairing what a crash left. Keeps up to
    /// `cache_bytes` of it in memory. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened; [`DatabaseError::DatabaseAlreadyOpen`] when it is open already, here or elsewhere.
    pub fn open(path: &Path, cache_bytes: usize, clock: Clock) -> Result<Self, DatabaseError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let path = path.to_owned();
        let open = move || Database::builder().set_cache_size(cache_bytes).create(&path);
        Self::start(Box::new(open), clock)
    }

    /// Begins to work on the file that `open` opens.
    pub(crate) fn start(open: Opener, clock: Clock) -> Result<Self, DatabaseError> {
        let now = Arc::clone(&clock);
        let open = move || {
            let database = open()?;
            prepare(&database, now()).map_err(|fault| match fault {
                Fault::Broken(redb::Error::Io(error)) => error,
                fault => std::io::Error::other(KeyValueError::from(fault).to_string()),
            })?;
            Ok(database)
        };
        let file = Arc::new(StoreFile::open(Box::new(open), clock())?);
        let writer = Writer::start(Arc::clone(&file), Arc::clone(&clock))?;
        let readers = Arc::new(Semaphore::new(READERS as usize));
        Ok(Self { file, readers, writer, clock })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(Snapshot) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, KeyValueError> {
        let turn = timeout(READ_WAIT, Arc::clone(&self.readers).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(KeyValueError::Overloaded) };
        let (file, now) = (Arc::clone(&self.file), (self.clock)());
        let done = spawn_blocking(move || {
            // Kept by the work, which goes on when nobody waits for it any more.
            let _turn = turn;
            file.read(now, |database| work(Snapshot::take(database, now)?))
        });
        done.await.map_err(|error| KeyValueError::Failed(format!("reading failed: {error}")))?
    }

    async fn change(&self, key: &str, change: Change) -> Result<i64, KeyValueError> {
        self.writer.change(key, change).await
    }

    async fn count(&self, key: &str, change: Change) -> Result<u64, KeyValueError> {
        self.change(key, change).await.map(i64::unsigned_abs)
    }

    async fn did(&self, key: &str, change: Change) -> Result<bool, KeyValueError> {
        self.change(key, change).await.map(|count| count > 0)
    }
}

/// Makes the tables, so that reads find them. Writes nothing when they are there: the disk may be full.
fn prepare(database: &Database, now: u64) -> Result<(), Fault> {
    // All of them were made in one transaction.
    if database.begin_read()?.open_table(ENTRIES).is_ok() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    drop(Tables::open(&transaction, now)?);
    transaction.commit()?;
    Ok(())
}

impl KeyValue for RedbStore {
    async fn get(&self, key: &str) -> Result<Option<String>, KeyValueError> {
        let key = key.to_owned();
        self.read(move |snapshot| snapshot.text(&key)).await
    }

    async fn set(&self, key: &str, value: String, expiry: Option<Duration>) -> Result<(), KeyValueError> {
        let expires = expiry
            .map_or(0, |expiry| (self.clock)().saturating_add(u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX)));
        self.change(key, Change::Set(value, expires)).await.map(drop)
    }

    async fn increment(&self, key: &str, by: i64) -> Result<i64, KeyValueError> {
        self.change(key, Change::Increment(by)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, KeyValueError> {
        self.did(key, Change::Delete).await
    }

    async fn contains(&self, key: &str) -> Result<bool, KeyValueError> {
        let key = key.to_owned();
        self.read(move |snapshot| Ok(snapshot.held(&key)?.is_some())).await
    }

    async fn list_push(&self, key: &str, value: String) -> Result<u64, KeyValueError> {
        self.count(key, Change::ListPush(value)).await
    }

    async fn list_remove(&self, key: &str, value: &str) -> Result<u64, KeyValueError> {
        self.count(key, Change::ListRemove(value.to_owned())).await
    }

    async fn list_range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<String>, KeyValueError> {
        let key = key.to_owned();
        self.read(move |snapshot| snapshot.range(&key, start, stop)).await
    }

    async fn set_add(&self, key: &str, value: String) -> Result<bool, KeyValueError> {
        self.did(key, Change::SetAdd(value)).await
    }

    async fn set_remove(&self, key: &str, value: &str) -> Result<bool, KeyValueError> {
        self.did(key, Change::SetRemove(value.to_owned())).await
    }

    async fn set_members(&self, key: &str) -> Result<Vec<String>, KeyValueError> {
        let key = key.to_owned();
        self.read(move |snapshot| snapshot.members(&key)).await
    }

    async fn set_union(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        let keys = keys.to_owned();
        self.read(move |snapshot| snapshot.union(&keys)).await
    }

    async fn set_intersection(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        let keys = keys.to_owned();
        self.read(move |snapshot| snapshot.intersection(&keys)).await
    }

    async fn ping(&self) -> Result<(), KeyValueError> {
        self.read(|snapshot| snapshot.held("").map(drop)).await?;
        self.file.health((self.clock)())
    }

    async fn close(&self) {
        self.writer.close().await;
        self.file.close();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::mpsc, task::Poll};

    use super::*;

    fn open() -> (tempfile::TempDir, RedbStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("kv.redb"), 1 << 20, Arc::new(|| 0)).unwrap();
        (folder, store)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_gets_no_turn_is_refused() {
        let (_folder, store) = open();
        let turns = Arc::clone(&store.readers).acquire_many_owned(READERS).await.unwrap();
        assert_eq!(store.get("a").await, Err(KeyValueError::Overloaded));
        drop(turns);
        assert_eq!(store.get("a").await, Ok(None));
    }

    #[tokio::test]
    async fn a_read_nobody_waits_for_keeps_its_turn_until_it_is_done() {
        let (_folder, store) = open();
        let (began, beginning) = mpsc::channel();
        let (end, ending) = mpsc::channel::<()>();
        let work = move |_| {
            began.send(()).unwrap();
            ending.recv().unwrap_err();
            Ok(())
        };
        let mut read = Box::pin(store.read(work));
        let waits = poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending())).await;
        assert!(waits);
        beginning.recv().unwrap();
        drop(read);
        assert_eq!(store.readers.available_permits(), READERS as usize - 1);
        drop(end);
        assert!(store.readers.acquire_many(READERS).await.is_ok());
    }
}
