//! Buckets in NATS's JetStream, in the layout every NATS client knows.
//!
//! Speaks the few requests it needs over any bus that reaches a JetStream, so simulations run this very code. A bucket
//! that is lost is made again by the next write or watch.

mod api;
mod watch;

use std::{sync::Arc, time::Duration};

use crate::watch as state;
use bytes::Bytes;
use wattle_types::BoxFuture;

use crate::{
    Bus, Expect, KvError, KvLast, KvStore, KvWatch,
    kv::{KV_TIMEOUT, check_bucket, check_key},
};
use api::{Api, Failure};

/// How often JetStream says that there is nothing to say.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

/// Silence after which a watch's consumer, or its stream, is taken for gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Header of the revision a writer expects.
pub(crate) const EXPECTED_HEADER: &str = "Nats-Expected-Last-Subject-Sequence";

/// Header that says that an entry is a deletion.
pub(crate) const OPERATION_HEADER: &str = "KV-Operation";

/// Header of a heartbeat: the number of the last delivery.
pub(crate) const LAST_HEADER: &str = "Nats-Last-Consumer";

/// What is known of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    /// How often it was made. What was on its way when it broke may be lost.
    pub(crate) connects: u64,
    /// Whether it is closed for good.
    pub(crate) is_closed: bool,
}

/// A bus that tells when its connection was interrupted.
pub(crate) trait Link: Bus + Clone {
    /// Returns what is known of the connection, now and later.
    fn connection(&self) -> state::Receiver<Connection>;

    /// Returns the JetStream domain that keeps the buckets, unless it is the server's own.
    fn js_domain(&self) -> Option<&str> {
        None
    }
}

/// Opens a bucket, made if it is not there.
pub(crate) async fn open<L: Link>(link: &L, name: &str) -> Result<Arc<dyn KvStore>, KvError> {
    check_bucket(name)?;
    let api = Api::new(link.clone(), name);
    bounded(api.ensure()).await?;
    Ok(Arc::new(Bucket { api, doubts: Arc::new(state::Sender::new(())) }))
}

struct Bucket<L> {
    api: Api<L>,
    /// Has watches look whether they told what is not there any more.
    doubts: Arc<state::Sender<()>>,
}

impl<L: Link> Bucket<L> {
    async fn write(&self, key: &str, value: Option<Bytes>, expect: Expect) -> Result<u64, KvError> {
        let conflict = || KvError::Conflict { key: key.into() };
        let expected = match expect {
            Expect::Any => None,
            Expect::Absent | Expect::Unwritten => Some(0),
            Expect::Revision(0) => return Err(conflict()),
            Expect::Revision(revision) => Some(revision),
        };
        match self.write_once(key, &value, expected).await {
            Err(Failure::Changed) if expect == Expect::Absent => {}
            other => return other.map_err(|failure| failure.or(conflict)),
        }
        // A deletion leaves a marker, which counts as something there.
        match self.api.last(key).await? {
            Some(KvLast { value: None, revision }) => {
                self.write_once(key, &value, Some(revision)).await.map_err(|failure| failure.or(conflict))
            }
            _ => Err(conflict()),
        }
    }

    /// Nobody responding means that nothing was written: the bucket is made and the write repeated.
    async fn write_once(&self, key: &str, value: &Option<Bytes>, expected: Option<u64>) -> Result<u64, Failure> {
        match self.api.publish(key, value.clone(), expected).await {
            Err(Failure::Missing) => {
                self.api.ensure().await?;
                self.api.publish(key, value.clone(), expected).await
            }
            other => other,
        }
    }
}

impl<L: Link> KvStore for Bucket<L> {
    fn last<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<KvLast>, KvError>> {
        Box::pin(async move {
            check_key(key)?;
            bounded(self.api.last(key)).await
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, expect: Expect) -> BoxFuture<'a, Result<u64, KvError>> {
        Box::pin(async move {
            check_key(key)?;
            bounded(self.write(key, Some(value), expect)).await
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> BoxFuture<'a, Result<(), KvError>> {
        Box::pin(async move {
            check_key(key)?;
            bounded(self.write(key, None, expect)).await.map(|_| ())
        })
    }

    fn watch(&self) -> BoxFuture<'_, Result<KvWatch, KvError>> {
        Box::pin(bounded(watch::open(self.api.clone(), Arc::clone(&self.doubts))))
    }

    fn doubt(&self) {
        self.doubts.send_modify(|()| {});
    }
}

/// Ends an operation of several requests in the time of one.
async fn bounded<T>(operation: impl Future<Output = Result<T, KvError>>) -> Result<T, KvError> {
    let late = || Err(KvError::TimedOut { waited: KV_TIMEOUT });
    tokio::time::timeout(KV_TIMEOUT, operation).await.unwrap_or_else(|_| late())
}
