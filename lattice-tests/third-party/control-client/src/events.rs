//! Every event of the lattice, read by wadm.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use serde_json::Value;
use wadm::events::{ConversionError, Event};

use crate::report::{Report, demand};

const PREFIX: &str = "com.wasmcloud.lattice.";
/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// Events that wadm has no type for: it skips them.
const UNREAD: [&str; 2] = ["labels_changed", "linkdef_set_failed"];

/// Events that must have been seen in the end.
const EXPECTED: [&str; 16] = [
    "component_scale_failed",
    "component_scaled",
    "config_deleted",
    "config_set",
    "health_check_passed",
    "health_check_status",
    "host_heartbeat",
    "host_started",
    "host_stopped",
    "labels_changed",
    "linkdef_deleted",
    "linkdef_set",
    "linkdef_set_failed",
    "provider_start_failed",
    "provider_started",
    "provider_stopped",
];

#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// Subject and envelope, in the order of arrival.
    all: Vec<(String, Value)>,
    /// How many of them were waited for.
    waited: usize,
    /// Why events of a kind could not be read.
    unreadable: BTreeMap<String, String>,
}

impl Events {
    /// Reads what is published from now on.
    pub async fn listen(nats: &async_nats::Client, lattice: &str) -> Self {
        let events = Self::default();
        let mut messages = nats.subscribe(format!("wasmbus.evt.{lattice}.>")).await.expect("events");
        nats.flush().await.expect("events");
        let keep = events.clone();
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                keep.take(&message.subject, &message.payload);
            }
        });
        events
    }

    fn take(&self, subject: &str, payload: &[u8]) {
        let envelope: Value = serde_json::from_slice(payload).unwrap_or_default();
        let name = subject.rsplit('.').next().unwrap_or_default().to_owned();
        let mut seen = self.0.lock().unwrap();
        if let Err(why) = read(&name, payload, &envelope) {
            seen.unreadable.entry(name).or_insert(format!("{why}: {envelope}"));
        }
        seen.all.push((subject.to_owned(), envelope));
    }

    /// Waits for an event of this name whose data pass `check`, after those that were waited for before.
    pub async fn wait(&self, name: &str, check: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let kind = format!("{PREFIX}{name}");
        let found = async {
            loop {
                if let Some(data) = self.find(&kind, &check) {
                    return data;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.map_err(|_| format!("no {name} as it should be"))
    }

    fn find(&self, kind: &str, check: &impl Fn(&Value) -> bool) -> Option<Value> {
        let mut seen = self.0.lock().unwrap();
        let from = seen.waited;
        let fits = |(_, event): &(String, Value)| event["type"] == kind && check(&event["data"]);
        let at = from + seen.all[from..].iter().position(fits)?;
        seen.waited = at + 1;
        Some(seen.all[at].1["data"].clone())
    }

    /// Tells of each kind of event whether it was seen and could be read.
    pub fn judge(&self, report: &mut Report) {
        let seen = self.0.lock().unwrap();
        for name in EXPECTED {
            let count = seen.all.iter().filter(|(subject, _)| subject.ends_with(&format!(".{name}"))).count();
            let outcome = match seen.unreadable.get(name) {
                Some(why) => Err(why.clone()),
                None => demand(count > 0, "was never seen"),
            };
            report.line(&format!("event {name}"), outcome);
        }
        for (name, why) in seen.unreadable.iter().filter(|(name, _)| !EXPECTED.contains(&name.as_str())) {
            report.line(&format!("event {name}"), Err(why.clone()));
        }
    }
}

/// Has wadm read an event.
fn read(name: &str, payload: &[u8], envelope: &Value) -> Result<(), String> {
    demand(envelope["type"] == format!("{PREFIX}{name}"), "subject and type differ")?;
    let event: cloudevents::Event = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    match Event::new(event) {
        Ok(read) => demand(read.raw_type().starts_with(PREFIX), "was read as something else"),
        Err(ConversionError::WrongEvent(_)) if UNREAD.contains(&name) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
