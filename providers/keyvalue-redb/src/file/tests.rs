//! A file on a disk that fails when it is told to.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::{Database, StorageBackend};
use wattle_provider_sdk::{KeyValue, KeyValueError};

use super::PAUSE_MS;
use crate::RedbStore;

/// What stays when the file is opened anew. Writes fail while there is an error.
#[derive(Debug, Clone, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    error: Arc<Mutex<Option<io::ErrorKind>>>,
}

impl Disk {
    fn fail(&self, error: impl Into<Option<io::ErrorKind>>) {
        *self.error.lock().unwrap() = error.into();
    }

    fn check(&self) -> io::Result<()> {
        self.error.lock().unwrap().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (bytes, offset) = (self.bytes.lock().unwrap(), offset as usize);
        let found = bytes.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let (mut bytes, offset) = (self.bytes.lock().unwrap(), offset as usize);
        bytes[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn store() -> (Disk, Arc<AtomicU64>, RedbStore) {
    let (disk, now) = (Disk::default(), Arc::new(AtomicU64::new(1_800_000_000_000)));
    let (opened, clock) = (disk.clone(), now.clone());
    let open = move || Database::builder().create_with_backend(opened.clone());
    let store = RedbStore::start(Box::new(open), Arc::new(move || clock.load(Ordering::SeqCst))).unwrap();
    (disk, now, store)
}

#[tokio::test]
async fn a_store_takes_changes_again_once_its_disk_does() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::PermissionDenied] {
        let (disk, now, store) = store();
        assert_eq!(store.increment("n", 1).await, Ok(1));
        now.fetch_add(PAUSE_MS, Ordering::SeqCst);
        disk.fail(kind);
        for _ in 0..3 {
            let code = store.increment("n", 1).await.unwrap_err().code();
            let expected = if kind == io::ErrorKind::StorageFull { "store_full" } else { "backend_unavailable" };
            assert_eq!(code, expected, "{kind}");
            assert_eq!(store.ping().await.unwrap_err().code(), expected, "the store is not well");
            now.fetch_add(PAUSE_MS, Ordering::SeqCst);
        }
        disk.fail(None);
        now.fetch_add(PAUSE_MS, Ordering::SeqCst);
        assert_eq!(store.get("n").await, Ok(Some("1".into())), "{kind}");
        assert_eq!(store.increment("n", 1).await, Ok(2), "{kind}");
        assert_eq!(store.ping().await, Ok(()), "{kind}");
    }
}

#[tokio::test]
async fn changes_are_refused_for_a_moment_after_one_that_failed() {
    let (disk, now, store) = store();
    now.fetch_add(PAUSE_MS, Ordering::SeqCst);
    disk.fail(io::ErrorKind::StorageFull);
    assert!(matches!(store.increment("n", 1).await, Err(KeyValueError::Full { .. })));
    disk.fail(None);
    assert!(matches!(store.increment("n", 1).await, Err(KeyValueError::Full { .. })));
    assert_eq!(store.get("n").await, Ok(None), "reading goes on");
    now.fetch_add(PAUSE_MS, Ordering::SeqCst);
    assert_eq!(store.increment("n", 1).await, Ok(1));
}

#[tokio::test]
async fn a_closed_store_is_not_opened_again() {
    let (_disk, _now, store) = store();
    store.close().await;
    assert_eq!(store.get("n").await.unwrap_err().to_string(), "the store is closed");
    assert_eq!(store.increment("n", 1).await.unwrap_err().to_string(), "the store is closed");
}
