//! Stopping: no new work, finish what is there, then close, in that order.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::Host;
use crate::{actor::ActorSlot, actor_table::ActorTable, steps::Steps};

/// Longest drain anybody may ask for.
const DRAIN_MAX: Duration = Duration::from_secs(3600);
/// Tasks of the host itself only pass messages on; a second is plenty.
const TASKS_GRACE: Duration = Duration::from_secs(1);

impl Host {
    /// Stops the host: refuses new work, lets providers finish what they took, drains actors, closes providers.
    ///
    /// Each step is bounded by the drain timeout. Returns when all is closed; whoever calls it again waits for the same
    /// shutdown. The bus stays as it is: it belongs to whoever gave it.
    pub async fn shutdown(&self) {
        self.0.shutdown.get_or_init(|| self.shut_down()).await;
    }

    async fn shut_down(&self) {
        self.state().closing = true;
        self.0.closing.cancel();
        self.0.dispatcher.start_draining();
        self.tell_lattice();
        self.quiesce_providers().await;
        self.drain_actors().await;
        self.close_providers().await;
        if let Some(node) = &self.0.node {
            node.leave(self.drain_timeout()).await;
        }
        let data = json!({ "labels": self.labels() });
        self.0.events.announce("host_stopped", data);
        self.0.stopped.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(TASKS_GRACE, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks of the host did not end in time");
        }
    }

    /// Begins to stop the host, in a task that outlives the caller's. Calls in flight get `drain`, or what is
    /// configured.
    pub(crate) fn shutdown_in_background(&self, drain: Option<Duration>) {
        if let Some(drain) = drain {
            // Whoever asked first has decided.
            let _ = self.0.last_drain.set(drain.min(DRAIN_MAX));
        }
        let host = self.clone();
        // Not tracked: shutting down waits for the tracked tasks, and this one is the shutting down.
        #[expect(clippy::disallowed_methods, reason = "ends by itself, each of its steps is bounded")]
        tokio::spawn(async move { host.shutdown().await });
    }

    /// Returns how long calls in flight may take to end.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.0.last_drain.get().copied().unwrap_or(self.0.config.drain_timeout)
    }

    /// Waits until the host has been stopped.
    pub async fn wait_stopped(&self) {
        self.0.stopped.cancelled().await;
    }

    /// Stops the flow of work from outside. Actors still reach every provider, to finish what was taken.
    async fn quiesce_providers(&self) {
        let providers: Vec<_> = self.state().providers.values().map(|slot| slot.slot.current()).collect();
        let quiet = join_all(providers.iter().map(|running| running.provider.quiesce()));
        if tokio::time::timeout(self.drain_timeout(), quiet).await.is_err() {
            tracing::warn!("some providers did not finish their work in time");
        }
    }

    /// Waits for all calls in flight, which may still call other actors, and closes when there are none.
    async fn drain_actors(&self) {
        let actors: Vec<_> = {
            let state = self.state();
            let modules = |slot: &Arc<ActorSlot>| [Some(slot.slot.current()), slot.slot.withdraw()];
            state.actors.iter().flat_map(modules).flatten().collect()
        };
        let latest = Instant::now() + self.drain_timeout();
        let empty = join_all(actors.iter().map(|module| module.emptied()));
        if tokio::time::timeout_at(latest, empty).await.is_err() {
            tracing::warn!("some calls did not end in time");
        }
        let (left, steps) = (latest.saturating_duration_since(Instant::now()), Steps::ignore());
        join_all(actors.iter().map(|module| self.drain_module_within(left, module, &steps))).await;
        self.change(|state| state.actors = ActorTable::default());
        // Those that were stopped or replaced before.
        self.0.drains.close();
        if tokio::time::timeout_at(latest + TASKS_GRACE, self.0.drains.wait()).await.is_err() {
            tracing::warn!("some calls of versions that were stopped before did not end in time");
        }
    }

    /// Closes providers, the newest first, and the builtins last.
    async fn close_providers(&self) {
        let mut slots: Vec<_> = self.state().providers.values().cloned().collect();
        slots.sort_by_key(|slot| std::cmp::Reverse(slot.origin.order));
        let steps = Steps::ignore();
        for slot in slots {
            // Its calls and its own work are over: what is left is closing, and whoever changes it now.
            let stopped = tokio::time::timeout(self.drain_timeout(), self.stop_provider(&slot.id, &steps));
            match stopped.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a provider was stopped by somebody else"),
                Err(_) => tracing::warn!(provider = %slot.id, "a provider did not stop in time"),
            }
        }
        let builtins: Vec<_> = self.state().builtins.values().map(|slot| slot.slot.current()).collect();
        for builtin in builtins {
            self.retire_provider(&builtin, &steps).await;
        }
    }
}
