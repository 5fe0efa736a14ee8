//! Buckets inside one process: shared by all connections of a network, gone with it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use wattle_types::BoxFuture;

use super::{MemoryBus, Network};
use crate::{
    Expect, KvError, KvEvent, KvLast, KvStore, KvWatch,
    bus::MESSAGE_LEN_MAX,
    kv::{check_bucket, check_key, table::Table},
};

/// One bucket of a network.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    table: Table,
    /// Tells watches to look again: something was written, or a connection closed.
    changed: watch::Sender<()>,
}

impl Bucket {
    pub(super) fn wake(&self) {
        self.changed.send_replace(());
    }
}

struct MemoryBucket {
    bus: MemoryBus,
    name: String,
}

impl MemoryBus {
    pub(super) fn open_bucket(&self, name: &str) -> Result<Arc<dyn KvStore>, KvError> {
        check_bucket(name)?;
        let bucket = MemoryBucket { bus: self.clone(), name: name.into() };
        bucket.with(|_| ())?;
        Ok(Arc::new(bucket))
    }
}

impl MemoryBucket {
    /// Does something with the bucket while nobody else does.
    fn with<T>(&self, act: impl FnOnce(&mut Bucket) -> T) -> Result<T, KvError> {
        let mut network = self.bus.lock();
        network.check_open(self.bus.connection).map_err(|error| KvError::Unavailable(error.to_string()))?;
        Ok(act(network.bucket(&self.name)))
    }

    fn write(&self, key: &str, value: Option<Bytes>, expect: Expect) -> Result<u64, KvError> {
        check_key(key)?;
        let size = key.len() + value.as_ref().map_or(0, Bytes::len);
        if size > MESSAGE_LEN_MAX {
            return Err(KvError::TooLarge { size, limit: MESSAGE_LEN_MAX });
        }
        self.with(|bucket| {
            let revision = bucket.table.write(key, value, expect)?;
            bucket.wake();
            Ok(revision)
        })?
    }
}

impl Network {
    fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.buckets.entry(name.into()).or_default()
    }
}

impl KvStore for MemoryBucket {
    fn last<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<KvLast>, KvError>> {
        Box::pin(async move {
            check_key(key)?;
            self.with(|bucket| bucket.table.last(key))
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, expect: Expect) -> BoxFuture<'a, Result<u64, KvError>> {
        Box::pin(async move { self.write(key, Some(value), expect) })
    }

    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> BoxFuture<'a, Result<(), KvError>> {
        Box::pin(async move { self.write(key, None, expect).map(|_| ()) })
    }

    fn watch(&self) -> BoxFuture<'_, Result<KvWatch, KvError>> {
        Box::pin(async move {
            let changed = self.with(|bucket| bucket.changed.subscribe())?;
            let bucket = Self { bus: self.bus.clone(), name: self.name.clone() };
            let watch = Watch { bucket, changed, seen: 0, is_caught_up: false };
            Ok(KvWatch::new(futures::stream::unfold(
                watch,
                |mut watch| async move { Some((watch.next().await?, watch)) },
            )))
        })
    }
}

/// Where one watch is: it reads on in the bucket itself, so there is nothing to queue.
struct Watch {
    bucket: MemoryBucket,
    changed: watch::Receiver<()>,
    seen: u64,
    is_caught_up: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<KvEvent> {
        loop {
            self.changed.mark_unchanged();
            let seen = self.seen;
            if let Some((revision, event)) = self.bucket.with(|bucket| bucket.table.after(seen)).ok()? {
                self.seen = revision;
                return Some(event);
            }
            if !self.is_caught_up {
                self.is_caught_up = true;
                return Some(KvEvent::CaughtUp);
            }
            self.changed.changed().await.ok()?;
        }
    }
}
