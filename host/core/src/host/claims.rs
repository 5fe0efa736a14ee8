//! Noticing claims that end while what they are about runs.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wattle_types::wascap::ClaimsError;

use super::{Host, unix_now};

/// How often the clock is looked at: how late calls may be refused. Times in claims are whole seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Host {
    /// Starts the task that looks whose claims have ended, until the host stops.
    pub(super) fn start_claims_checks(&self) {
        self.every(LOOK_EVERY, Instant::now(), self.stopped(), |host| {
            Box::pin(async { host.look_at_claims(unix_now()) })
        });
    }

    /// Has calls of what has no valid claims at this time refused, and tells what has changed.
    fn look_at_claims(&self, now: u64) {
        let (actors, providers): (Vec<_>, Vec<_>) = {
            let state = self.state();
            (state.actors.in_order().into_iter().cloned().collect(), state.providers.values().cloned().collect())
        };
        for slot in actors {
            for module in [Some(slot.slot.current()), slot.slot.trial()].into_iter().flatten() {
                if let Some(holds) = module.validity.look(self.trust(), now) {
                    self.tell_of_claims(&slot.id.to_string(), &module.reference, module.validity.expires(), holds);
                }
            }
        }
        for slot in providers {
            let running = slot.slot.current();
            if let Some(holds) = running.validity.look(self.trust(), now) {
                self.tell_of_claims(slot.id.as_str(), &running.reference, running.validity.expires(), holds);
            }
        }
    }

    fn tell_of_claims(&self, id: &str, reference: &str, expires: Option<u64>, holds: Result<(), ClaimsError>) {
        let (name, why) = match holds {
            Ok(()) => {
                tracing::info!(id, reference, "its claims are valid again: this host's clock was set");
                ("claims_valid", None)
            }
            Err(error) => {
                tracing::error!(
                    id, reference, %error,
                    "its calls are refused from now on: sign it anew and update it, have its account vouched for anew, \
                     or set this host's clock"
                );
                ("claims_lapsed", Some(error))
            }
        };
        let (code, why) = (why.as_ref().map(ClaimsError::code), why.as_ref().map(ToString::to_string));
        let data = json!({
            "host_id": self.id(), "public_key": id, "image_ref": reference, "expires": expires,
            "code": code, "error": why,
        });
        self.events_sink().announce(name, data);
    }
}
