//! What the host says of itself, while it runs.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use serde_json::json;

use super::Host;
use crate::labels::{LabelError, Labels};

impl Host {
    /// Returns what the host says of itself, `hostcore.*` included.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.lock_labels().all().clone()
    }

    /// Sets a label, or changes it, until the host stops.
    ///
    /// # Errors
    /// Why it is refused; the labels are then as before.
    pub fn put_label(&self, key: &str, value: &str) -> Result<(), LabelError> {
        let mut labels = self.lock_labels();
        labels.put(key, value)?;
        self.announce_labels(&labels);
        Ok(())
    }

    /// Takes a label away and returns whether there was one.
    pub fn delete_label(&self, key: &str) -> bool {
        let mut labels = self.lock_labels();
        let was_there = labels.delete(key);
        if was_there {
            self.announce_labels(&labels);
        }
        was_there
    }

    /// Announced under the lock, so that events have the order of changes.
    fn announce_labels(&self, labels: &Labels) {
        self.0.events.announce("labels_changed", json!({ "host_id": self.id(), "labels": labels.all() }));
    }

    /// A panic while the lock was held leaves labels that are still whole.
    fn lock_labels(&self) -> MutexGuard<'_, Labels> {
        self.0.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
