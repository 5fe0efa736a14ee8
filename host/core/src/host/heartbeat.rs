//! Telling the lattice from time to time what runs here, for tools that keep a picture of it.

use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior};

use super::Host;

impl Host {
    /// Starts the task that announces the inventory until the host begins to stop.
    pub(super) fn start_heartbeat(&self) {
        let (host, closing) = (Arc::downgrade(&self.0), self.closing().clone());
        let interval = self.0.config.heartbeat_interval;
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks().spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                // A host that was dropped is not kept alive by telling of it.
                let Some(host) = host.upgrade().map(Host) else { return };
                host.announce_inventory();
                host.dispatcher().counting().end_if_forgotten(crate::dispatch::now());
            }
        });
    }

    fn announce_inventory(&self) {
        match serde_json::to_value(self.inventory()) {
            Ok(inventory) => self.0.events.announce("host_heartbeat", inventory),
            Err(error) => tracing::error!(%error, "the inventory cannot be written as JSON"),
        }
    }
}
