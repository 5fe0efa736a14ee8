//! CloudEvents 1.0 in JSON, as the lattice publishes them on `wasmbus.evt.{lattice}.{name}`.

use serde::{Deserialize, Serialize};

use crate::HostId;

/// Prefix of every event's type.
pub const TYPE_PREFIX: &str = "com.wasmcloud.lattice.";

/// What happened, before it is put in its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// For example `component_scaled`.
    pub name: &'static str,
    /// The host it happened to, if that is not the one that tells.
    pub host: Option<HostId>,
    /// The event's own fields.
    pub data: serde_json::Value,
}

/// The envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// [`TYPE_PREFIX`] and the name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The host it happened on.
    pub source: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// A UUID.
    pub id: String,
    /// RFC 3339.
    pub time: String,
    /// The event's own fields.
    pub data: serde_json::Value,
}

impl CloudEvent {
    /// Puts an event in its envelope. `id` is a UUID, `time` RFC 3339.
    #[must_use]
    pub fn new(event: Event, source: String, id: String, time: String) -> Self {
        Self {
            specversion: "1.0".into(),
            kind: format!("{TYPE_PREFIX}{}", event.name),
            source,
            datacontenttype: "application/json".into(),
            id,
            time,
            data: event.data,
        }
    }

    /// Returns the name, without the type's prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(TYPE_PREFIX).unwrap_or(&self.kind)
    }
}
