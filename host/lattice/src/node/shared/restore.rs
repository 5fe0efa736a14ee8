//! Writing back what the store has lost.

use std::time::Duration;

use wattle_bus::{Expect, KvError};

use super::Shared;
use crate::spec::Bucket;

/// Pauses after a round in which the store did not take everything.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Writes what the store has lost where nothing was written since, not even a deletion. Every host does: each entry is
/// written by the first, and no host needs to be chosen, which could not be done without the store.
pub(super) async fn restore(shared: Shared, bucket: Bucket) {
    let mut pause = PAUSE_MIN;
    let mut refused = 0;
    loop {
        let lost = shared.read(|data| data.lost(bucket));
        if lost.len() <= refused {
            return;
        }
        tracing::error!(?bucket, entries = lost.len(), "the lattice's store has lost entries: they are written back");
        refused = 0;
        for key in lost {
            // Others write, too: what was told meanwhile is not lost any more.
            let Some(value) = shared.read(|data| data.lost_entry(bucket, &key).cloned()) else { continue };
            match shared.store(bucket).put(&key, value, Expect::Unwritten).await {
                Ok(_) | Err(KvError::Conflict { .. }) => {}
                Err(error @ (KvError::TooLarge { .. } | KvError::BadKey(_))) => {
                    tracing::error!(?bucket, key, %error, "an entry that was lost cannot be written back");
                    refused += 1;
                }
                Err(error) => {
                    tracing::warn!(?bucket, %error, "the lattice's store cannot be written back now");
                    break;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
