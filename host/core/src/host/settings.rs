//! Handing on configurations of the lattice, as they change, to the providers that name them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use wattle_types::ProviderId;

use super::Host;

/// How often providers are looked at though no change is heard: one may have come up with what has changed meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What providers did not come up with: not tried again until it changes.
type Refused = BTreeMap<ProviderId, BTreeMap<String, String>>;

impl Host {
    /// Starts the task that follows the lattice's configurations until the host begins to stop.
    pub(super) fn follow_configs(&self) {
        let Some(node) = &self.0.node else { return };
        let (host, closing) = (Arc::downgrade(&self.0), self.closing().clone());
        let mut changes = node.shared().link_changes();
        self.tasks().spawn(async move {
            let mut refused = Refused::new();
            loop {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let Some(host) = host.upgrade().map(Host) else { return };
                host.refresh_providers(&mut refused).await;
            }
        });
    }

    async fn refresh_providers(&self, refused: &mut Refused) {
        let slots: Vec<_> = self.state().providers.values().cloned().collect();
        refused.retain(|id, _| slots.iter().any(|slot| slot.id == *id));
        for slot in slots {
            let now = self.current_settings(&slot.slot.current().settings).map(|settings| settings.values);
            let Some(now) = now.filter(|now| refused.get(&slot.id) != Some(now)) else { continue };
            match self.refresh_provider(&slot).await {
                Ok(()) => drop(refused.remove(&slot.id)),
                Err(error) => {
                    let provider = &slot.id;
                    tracing::warn!(%provider, code = error.code(), %error, "a changed configuration was not handed on");
                    refused.insert(slot.id.clone(), now);
                }
            }
        }
    }
}
