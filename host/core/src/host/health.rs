//! Asking providers whether they are well.

use std::sync::{Arc, atomic::Ordering};

use futures::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::Host;
use crate::provider::ProviderSlot;

impl Host {
    /// Starts the tasks that ask every provider how it is, until the host stops, and give it what it did not accept,
    /// until it begins to.
    pub(super) fn start_health_checks(&self) {
        let interval = self.0.config.health_interval;
        self.every(interval, Instant::now(), self.stopped(), |host| Box::pin(host.check_providers()));
        self.every(interval, Instant::now(), self.closing(), |host| Box::pin(host.retry_all_links()));
    }

    async fn check_providers(&self) {
        let slots: Vec<_> = self.state().providers.values().cloned().collect();
        // Side by side: one that does not answer holds up nobody else.
        join_all(slots.iter().map(|slot| self.check_provider(slot))).await;
    }

    async fn retry_all_links(&self) {
        let slots: Vec<_> = self.state().providers.values().cloned().collect();
        join_all(slots.iter().map(|slot| self.retry_links(slot))).await;
    }

    /// Asks one provider, and tells how it is or that its answer has changed.
    async fn check_provider(&self, slot: &Arc<ProviderSlot>) {
        let running = slot.slot.current();
        let answer = tokio::time::timeout(self.0.config.health_interval, running.provider.health()).await;
        let unhealthy = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer to the health check".to_owned()),
        };
        let before = slot.unhealthy.swap(unhealthy.clone().map(Arc::new));
        let is_first = !slot.checked.swap(true, Ordering::Relaxed);
        let event = match (before, unhealthy) {
            (None, Some(reason)) => {
                tracing::warn!(provider = %slot.id, reason, "a provider is not well");
                "health_check_failed"
            }
            (Some(_), None) => {
                tracing::info!(provider = %slot.id, "a provider is well again");
                "health_check_passed"
            }
            (None, None) if is_first => "health_check_passed",
            (None, None) | (Some(_), Some(_)) => "health_check_status",
        };
        self.events_sink().announce(event, json!({ "host_id": self.id(), "provider_id": slot.id }));
    }
}
