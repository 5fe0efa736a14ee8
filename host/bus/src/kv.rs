//! Key-value buckets: what all connections of a network share and what outlives them.
//!
//! Knows keys and values only as text and bytes. Every write gets a revision; revisions of one bucket grow, so two
//! writers who state which revision they saw never overwrite each other unseen.

pub(crate) mod table;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use wattle_types::BoxFuture;

/// How long one operation on a bucket may take before it fails.
pub(crate) const KV_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest key, in bytes: it is part of a subject.
const KEY_LEN_MAX: usize = 1024;

/// One value as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
    /// The write that made it; never 0.
    pub revision: u64,
}

/// What was written last under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvLast {
    /// The write; never 0.
    pub revision: u64,
    /// The value, or `None` if the write was a deletion.
    pub value: Option<Bytes>,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: overwrite.
    Any,
    /// There is no value: create.
    Absent,
    /// Nothing was ever written, not even a deletion: write back what the store has lost.
    Unwritten,
    /// The value is still of this revision: compare and set.
    Revision(u64),
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvEvent {
    /// A value is there, new or not.
    Put(KvEntry),
    /// There is no value (any more). The key may be one the watch never told of.
    Delete {
        /// The key.
        key: String,
        /// The revision of the deletion.
        revision: u64,
    },
    /// Everything that was there has been told; from here on come changes.
    CaughtUp,
    /// What was told before may be stale: everything that is there follows again, then [`KvEvent::CaughtUp`].
    Reset {
        /// The store is another one than before, or older: what does not follow again was lost, not deleted.
        lost: bool,
    },
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// The key is not as the writer expected it; nothing was written.
    #[error("{key} was changed by somebody else")]
    Conflict {
        /// The key.
        key: String,
    },
    /// The bucket cannot be reached or refuses; nothing was written, unless the connection was closed meanwhile.
    #[error("the lattice's store is not available: {0}")]
    Unavailable(String),
    /// There is no room; nothing was written. What is there can be read.
    #[error("the lattice's store is full: {0}")]
    Full(String),
    /// The bucket is kept by a cluster whose servers let several writers win who expect the same revision.
    #[error(
        "the lattice's store is kept by a cluster of nats-server {}, which needs 2.11 or later",
        version.as_deref().unwrap_or("before 2.11")
    )]
    TooOld {
        /// The version, if it is told.
        version: Option<String>,
    },
    /// No answer came in time: a write may have happened or may yet happen.
    #[error("no answer from the lattice's store within {waited:?}")]
    TimedOut {
        /// How long we waited.
        waited: Duration,
    },
    /// The value is larger than the bucket takes.
    #[error("a value of {size} bytes is too large for the bus, which takes {limit}")]
    TooLarge {
        /// Bytes of key, value and what goes with them.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The key, or the bucket's name, has characters it cannot hold.
    #[error("{0:?} is not the name of a key or bucket")]
    BadKey(String),
}

impl KvError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "kv_conflict",
            Self::Unavailable(_) => "kv_unavailable",
            Self::Full(_) => "kv_full",
            Self::TooOld { .. } => "nats_too_old",
            Self::TimedOut { .. } => "kv_timed_out",
            Self::TooLarge { .. } => "payload_too_large",
            Self::BadKey(_) => "kv_key_invalid",
        }
    }
}

/// A bucket: entries by key, written with compare-and-set.
///
/// Keys consist of ASCII letters, digits and `- / _ = .`, with no dot at either end. All waits end within 5 seconds.
pub trait KvStore: Send + Sync + 'static {
    /// Returns what was written last under `key`, deletions included, or later. `None`: never anything, unless the
    /// store has lost it.
    ///
    /// # Errors
    /// Any [`KvError`] but [`KvError::Conflict`].
    fn last<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<KvLast>, KvError>>;

    /// Returns what is stored under `key`: what the last finished write left, or later.
    ///
    /// # Errors
    /// As [`last`](Self::last).
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<KvEntry>, KvError>> {
        Box::pin(async move {
            let last = self.last(key).await?;
            Ok(last.and_then(|KvLast { revision, value }| Some(KvEntry { key: key.into(), value: value?, revision })))
        })
    }

    /// Stores `value` if `expect` holds and returns the new revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] if it does not hold; [`KvError::TimedOut`] if nobody knows whether it was stored.
    fn put<'a>(&'a self, key: &'a str, value: Bytes, expect: Expect) -> BoxFuture<'a, Result<u64, KvError>>;

    /// Removes what is stored under `key` if `expect` holds. Removing what is not there is no error.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> BoxFuture<'a, Result<(), KvError>>;

    /// Tells of all keys: first what is there, then [`KvEvent::CaughtUp`], then every change in order of revision.
    ///
    /// # Errors
    /// [`KvError::Unavailable`] or [`KvError::TimedOut`] if there is no watch; one that there is heals by itself.
    fn watch(&self) -> BoxFuture<'_, Result<KvWatch, KvError>>;

    /// Has watches look at once whether the store has lost what they told, which they do every 5 seconds otherwise.
    fn doubt(&self) {}
}

/// What happens in a bucket. Dropping it ends it.
///
/// Bounded: whoever is too slow is told only the last of several changes to one key, or all anew after a
/// [`KvEvent::Reset`]. It heals by itself when the store goes away and returns, and ends when the connection is closed.
pub struct KvWatch {
    events: Pin<Box<dyn Stream<Item = KvEvent> + Send>>,
}

impl KvWatch {
    /// Wraps a stream of events.
    #[must_use]
    pub fn new(events: impl Stream<Item = KvEvent> + Send + 'static) -> Self {
        Self { events: Box::pin(events) }
    }

    /// Returns the next event, or `None` when the connection was closed for good.
    ///
    /// # Cancel safety
    /// Safe: no event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<KvEvent> {
        std::future::poll_fn(|context| self.events.as_mut().poll_next(context)).await
    }
}

impl Stream for KvWatch {
    type Item = KvEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<KvEvent>> {
        self.events.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for KvWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KvWatch")
    }
}

/// Checks that a key can be stored.
pub(crate) fn check_key(key: &str) -> Result<(), KvError> {
    let is_good = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_=.".contains(&byte));
    let is_whole = key.split('.').all(|token| !token.is_empty()) && key.len() <= KEY_LEN_MAX;
    if is_good && is_whole { Ok(()) } else { Err(KvError::BadKey(key.chars().take(80).collect())) }
}

/// Checks that a bucket can have this name.
pub(crate) fn check_bucket(name: &str) -> Result<(), KvError> {
    let is_good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_whole = (1..=KEY_LEN_MAX).contains(&name.len());
    if is_good && is_whole { Ok(()) } else { Err(KvError::BadKey(name.chars().take(80).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_a_subject_can_carry() {
        for good in ["a", "LINKDEF_a-b/c=", "a.b"] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a*", ">", "ä", &"x".repeat(1025)] {
            assert!(check_key(bad).is_err(), "{bad:?}");
        }
        assert!(check_bucket("LATTICEDATA_default").is_ok());
        assert!(check_bucket("").is_err() && check_bucket("a.b").is_err() && check_bucket("a*").is_err());
    }
}
