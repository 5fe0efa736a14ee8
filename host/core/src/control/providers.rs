//! Verbs about providers.

use wattle_types::{
    ProviderId,
    control::{StartProvider, StopProvider},
};

use super::reply::{Ack, given, meant_for, queue};
use crate::{
    host::{self, Host},
    steps::Steps,
};

/// Starts a provider. A refusal is told by an event, too, unless one with that id runs: then there is no failure.
pub(super) async fn start(host: &Host, start: StartProvider) -> Ack {
    meant_for(host, &start.host_id)?;
    let id = provider(&start.provider_id)?;
    let reference = given("provider_ref", &start.provider_ref)?.to_owned();
    if host.provider_slot(&id).is_ok() {
        return Err("provider with that ID is already running".into());
    }
    let options = host::StartProvider {
        reference,
        id: Some(id),
        configs: start.config,
        annotations: start.annotations.unwrap_or_default(),
        ..host::StartProvider::default()
    };
    let answer = start_in_background(host, options.clone()).await;
    if let Err(why) = &answer {
        host.provider_not_started(&options, why);
    }
    answer
}

async fn start_in_background(host: &Host, options: host::StartProvider) -> Ack {
    // A name that leads nowhere is told at once.
    host.configs().resolve(&options.configs).await.map_err(|error| error.to_string())?;
    queue(host, "the provider starts", move |host| async move {
        host.start_provider(options, &Steps::ignore()).await.map(drop)
    })
}

pub(super) fn stop(host: &Host, stop: &StopProvider) -> Ack {
    meant_for(host, &stop.host_id)?;
    let id = provider(&stop.provider_id)?;
    if host.provider_slot(&id).is_err() {
        return Err("provider with that ID is not running".into());
    }
    queue(host, "the provider stops", move |host| async move { host.stop_provider(&id, &Steps::ignore()).await })
}

fn provider(id: &str) -> Result<ProviderId, String> {
    given("provider_id", id)?.parse().map_err(|error| format!("provider_id: {error}"))
}
