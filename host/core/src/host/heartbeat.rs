//! Telling the lattice from time to time what runs here, for tools that keep a picture of it.

use tokio::time::Instant;

use super::Host;

impl Host {
    /// Starts the task that announces the inventory until the host begins to stop.
    pub(super) fn start_heartbeat(&self) {
        let interval = self.0.config.heartbeat_interval;
        self.every(interval, Instant::now() + interval, self.closing(), |host| {
            Box::pin(async {
                host.announce_inventory();
                host.dispatcher().counting().end_if_forgotten(crate::dispatch::now());
            })
        });
    }

    fn announce_inventory(&self) {
        match serde_json::to_value(self.inventory()) {
            Ok(inventory) => self.0.events.announce("host_heartbeat", inventory),
            Err(error) => tracing::error!(%error, "the inventory cannot be written as JSON"),
        }
    }
}
