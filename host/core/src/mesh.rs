//! This host's part in the lattice: what it tells of itself, and the calls it takes of others.

use std::{collections::BTreeMap, sync::Weak};

use bytes::Bytes;
use serde_json::json;
use wattle_lattice::{
    beat::{RunningActor, RunningProvider},
    node::{ClocksApart, LocalHost, Told},
    rpc::{Refusal, RemoteCall, Serve},
};
use wattle_types::{BoxFuture, ErrorKind, HostId, InvokeError};

use crate::host::{Host, Inner};

/// The host, as its node knows it: a host that was dropped is not kept alive by being part of a lattice.
pub(crate) struct Part(pub(crate) Weak<Inner>);

impl LocalHost for Part {
    fn told(&self) -> Told {
        self.0.upgrade().map(Host).map(|host| told(&host)).unwrap_or_default()
    }

    fn heard_of_clocks(&self, notice: &ClocksApart) {
        let Some(host) = self.0.upgrade().map(Host) else { return };
        let ahead: BTreeMap<_, _> = notice.ahead.iter().map(|(host, seconds)| (host.to_string(), *seconds)).collect();
        let data = json!({ "host_id": host.id(), "seconds_ahead": ahead, "is_outvoted": notice.is_outvoted });
        host.events_sink().announce("clocks_apart", data);
    }
}

impl Serve for Part {
    fn serve(&self, _from: HostId, call: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        Box::pin(async move {
            let host = self.0.upgrade().map(Host).ok_or_else(|| refusal(&InvokeError::Draining))?;
            host.dispatcher().call_from_elsewhere(call).await.map_err(|error| refusal(&error))
        })
    }
}

fn refusal(error: &InvokeError) -> Refusal {
    // What these name is found missing before anything runs; whatever happens later is wrapped in other errors.
    let not_run = matches!(
        error,
        InvokeError::ActorNotFound { .. }
            | InvokeError::LinkNotFound { .. }
            | InvokeError::ProviderUnavailable { .. }
            | InvokeError::CapabilityNotClaimed { .. }
            | InvokeError::Overloaded { .. }
            | InvokeError::ClaimsLapsed { .. }
            | InvokeError::Draining
    );
    // What the other host can act on is what is missing, not that an actor passed it on.
    let root = error.root();
    let told = if root.kind() == ErrorKind::Unavailable { root } else { error };
    Refusal::of(told, !not_run)
}

fn told(host: &Host) -> Told {
    let labels = host.labels();
    let state = host.state();
    let actors = state.actors.iter().map(|slot| {
        let module = slot.slot.current();
        let running = RunningActor {
            reference: module.reference.clone(),
            trial: slot.slot.trial().map(|trial| trial.reference.clone()),
            revision: module.facts.revision,
            max_in_flight: u32::try_from(slot.admission.load().max_running()).unwrap_or(u32::MAX),
            call_alias: module.facts.call_alias.clone(),
            declared: slot.declared,
        };
        (slot.id, running)
    });
    let providers = state.providers.values().map(|slot| {
        let current = slot.slot.current();
        let repeatable = current.provider.repeatable().iter().map(|operation| (*operation).to_owned()).collect();
        let running =
            RunningProvider { reference: current.reference.clone(), declared: slot.origin.declared, repeatable };
        (slot.id.clone(), running)
    });
    Told {
        draining: state.leaving || state.closing,
        labels,
        actors: actors.collect::<BTreeMap<_, _>>(),
        providers: providers.collect(),
    }
}
