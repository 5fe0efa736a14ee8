//! What a host does again and again for as long as it runs.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wattle_types::BoxFuture;

use super::Host;

impl Host {
    /// Starts a task that does `work` at `first`, and then every `period`, until `end`. What it is at then is dropped.
    pub(super) fn every(
        &self,
        period: Duration,
        first: Instant,
        end: &CancellationToken,
        work: impl Fn(&Self) -> BoxFuture<'_, ()> + Send + 'static,
    ) {
        let (host, end) = (Arc::downgrade(&self.0), end.clone());
        let mut ticks = tokio::time::interval_at(first, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks().spawn(async move {
            while end.run_until_cancelled(ticks.tick()).await.is_some() {
                // A host that was dropped is not kept alive by this.
                let Some(host) = host.upgrade().map(Host) else { return };
                if end.run_until_cancelled(work(&host)).await.is_none() {
                    return;
                }
            }
        });
    }
}
