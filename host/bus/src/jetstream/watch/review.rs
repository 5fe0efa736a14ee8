//! Whether a bucket still has what a watch told of it.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use wattle_types::BoxFuture;

use super::super::{
    Link,
    api::{Api, Identity},
};
use crate::{KvEntry, KvError, KvEvent, watch as state};

/// How often JetStream is asked, unless somebody doubts.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Most keys that are remembered: of a larger bucket's others nobody notices that they are lost.
const KEYS_MAX: usize = 1_000_000;

/// A question to the server which bucket it has.
type Look = BoxFuture<'static, Result<Option<Identity>, KvError>>;

/// What was told of a bucket, and the comparison of that with what JetStream says of it.
///
/// A key that was written once stays, if only as the marker of its deletion. So a bucket that has fewer entries than
/// keys were told was purged, wholly or in part, which JetStream tells no consumer.
pub(super) struct Review<L> {
    api: Api<L>,
    /// Somebody found less than there should be.
    doubts: state::Receiver<()>,
    /// The bucket it was when it was looked at last.
    identity: Option<Identity>,
    told: Told,
    /// The hashes of the keys told.
    keys: BTreeSet<u64>,
    next: Instant,
    asked: Option<(Told, Look)>,
    /// Keeps `doubts` open.
    _doubting: Arc<state::Sender<()>>,
}

/// How much was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Told {
    /// The last revision.
    pub(in super::super) revision: u64,
    /// Different keys.
    pub(in super::super) keys: u64,
}

impl<L: Link> Review<L> {
    pub(super) fn new(api: Api<L>, doubting: Arc<state::Sender<()>>) -> Self {
        let (doubts, next) = (doubting.subscribe(), Instant::now() + LOOK_EVERY);
        let (told, keys) = (Told::default(), BTreeSet::new());
        Self { api, doubts, identity: None, told, keys, next, asked: None, _doubting: doubting }
    }

    /// Takes in what is told.
    pub(super) fn tell(&mut self, event: &KvEvent) {
        let (KvEvent::Put(KvEntry { key, revision, .. }) | KvEvent::Delete { key, revision }) = event else { return };
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        if self.keys.len() < KEYS_MAX {
            self.keys.insert(hasher.finish());
        }
        let keys = u64::try_from(self.keys.len()).unwrap_or(u64::MAX);
        self.told = Told { revision: self.told.revision.max(*revision), keys };
    }

    /// Takes in which bucket is told of from now on. Returns whether something was lost that was told before.
    pub(super) fn begin(&mut self, identity: Identity) -> bool {
        let has_lost = self.identity.as_ref().is_some_and(|before| identity.has_lost(before, self.told));
        if has_lost {
            self.told = Told::default();
            self.keys.clear();
        }
        (self.identity, self.asked, self.next) = (Some(identity), None, Instant::now() + LOOK_EVERY);
        has_lost
    }

    /// Waits until something turns out to be lost.
    ///
    /// # Cancel safety
    /// Safe: goes on where it was.
    pub(super) async fn lost(&mut self) {
        loop {
            let Some((told, answer)) = &mut self.asked else {
                tokio::select! {
                    biased;
                    _ = self.doubts.changed() => {}
                    () = sleep_until(self.next) => {}
                }
                self.next = Instant::now() + LOOK_EVERY;
                let api = self.api.clone();
                self.asked = Some((self.told, Box::pin(async move { api.info().await })));
                continue;
            };
            let (told, found) = (*told, answer.await);
            self.asked = None;
            let before = self.identity.as_ref();
            match found {
                Ok(Some(identity)) if !before.is_some_and(|before| identity.has_lost(before, told)) => {}
                Ok(_) => return,
                // Silence is noticed elsewhere.
                Err(error) => tracing::debug!(%error, "a bucket cannot be looked at"),
            }
        }
    }
}
