//! Telling of hosts that ended without a word: others move the work of a host that has stopped at once, and that of one
//! they only miss late.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;
use wattle_types::HostId;

use super::Host;

/// How often the host that leads looks who is gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A process of a host: its key, and when it was started.
type Incarnation = (HostId, u64);

impl Host {
    /// Starts the task that tells, while this host leads, of hosts that fell silent.
    pub(super) fn tell_of_silent_hosts(&self) {
        let told = Mutex::new(BTreeSet::new());
        self.every(LOOK_EVERY, Instant::now() + LOOK_EVERY, self.stopped(), move |host| {
            host.look_for_silent(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
            Box::pin(std::future::ready(()))
        });
    }

    fn look_for_silent(&self, told: &mut BTreeSet<Incarnation>) {
        let Some(node) = self.node().filter(|node| node.leads().is_some()) else { return };
        let silent = node.silent_hosts();
        told.retain(|(host, incarnation)| {
            silent.iter().any(|beat| (beat.host, beat.incarnation) == (*host, *incarnation))
        });
        for beat in silent {
            if told.insert((beat.host, beat.incarnation)) {
                self.0.events.announce_of(beat.host, "host_stopped", json!({ "labels": beat.labels }));
            }
        }
    }
}
