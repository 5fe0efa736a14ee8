//! What the host announces: to whoever listens in this process, and as CloudEvents on the bus.

use std::sync::Arc;

use tokio::sync::broadcast;
use wattle_bus::Bus;
use wattle_types::{HostId, LatticeId, event::CloudEvent, event::Event, subject};

/// How many events a slow listener may lag behind before it misses some.
const LAG_MAX: usize = 1024;
/// The event a host ends with.
const LAST: &str = "host_stopped";

/// Hands events to listeners. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(LAG_MAX))
    }
}

impl Events {
    /// Announces that something happened.
    pub(crate) fn announce(&self, name: &'static str, data: serde_json::Value) {
        tracing::debug!(event = name, %data);
        // Nobody listening is fine.
        let _ = self.0.send(Event { name, host: None, data });
    }

    /// Announces that something happened to another host, which cannot tell.
    pub(crate) fn announce_of(&self, host: HostId, name: &'static str, data: serde_json::Value) {
        tracing::debug!(event = name, %host, %data);
        let _ = self.0.send(Event { name, host: Some(host), data });
    }

    /// Receives what is announced from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

/// Publishes events until the host has stopped, its last event included.
pub(crate) async fn publish_events(
    bus: Arc<dyn Bus>,
    lattice: LatticeId,
    host: HostId,
    mut events: broadcast::Receiver<Event>,
) {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Closed) => return,
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events were not published: the bus is too slow");
                continue;
            }
        };
        let is_last = event.name == LAST && event.host.is_none();
        let source = event.host.unwrap_or(host);
        let subject = subject::event(&lattice, event.name);
        let envelope = CloudEvent::new(event, source.to_string(), uuid::Uuid::new_v4().to_string(), rfc3339_now());
        match serde_json::to_vec(&envelope) {
            Ok(bytes) => {
                if let Err(error) = bus.publish(&subject, None, &[], bytes.into()).await {
                    tracing::warn!(%error, subject, "an event was not published");
                }
            }
            Err(error) => tracing::error!(%error, subject, "an event cannot be written as JSON"),
        }
        if is_last {
            return;
        }
    }
}

/// Returns the time, as events and people read it.
pub(crate) fn rfc3339_now() -> String {
    let now = time::OffsetDateTime::now_utc();
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
