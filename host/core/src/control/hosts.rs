//! Verbs about the host itself: stopping it, its labels, and what it shows servers.

use std::collections::BTreeMap;

use wattle_types::control::{DeleteLabel, PutLabel, RegistryCredential, StopHost};

use super::reply::{Ack, given, meant_for, read};
use crate::host::Host;

/// Returns the request to stop this host, if it is one and names no other.
pub(super) fn stop_of_this_host(host: &Host, verb: &str, payload: &[u8]) -> Option<StopHost> {
    let stop: StopHost = serde_json::from_slice(payload).ok().filter(|_| verb == "host.stop")?;
    meant_for(host, &stop.host_id).is_ok().then_some(stop)
}

/// Acknowledges a stop, which [`stop_of_this_host`] then is.
pub(super) fn stop(host: &Host, stop: &StopHost) -> Ack {
    meant_for(host, &stop.host_id).map(|()| "stopping".into())
}

pub(super) fn put_label(host: &Host, label: &PutLabel) -> Ack {
    let key = given("key", &label.key)?;
    host.put_label(key, &label.value).map_err(|error| error.to_string())?;
    Ok("done".into())
}

pub(super) fn delete_label(host: &Host, label: &DeleteLabel) -> Ack {
    let was_there = host.delete_label(given("key", &label.key)?);
    Ok(if was_there { "done" } else { "there was no such label" }.into())
}

/// Keeps credentials. Most senders do not listen for the answer, so a refusal is logged too; neither holds a secret.
pub(super) fn put_registries(host: &Host, payload: &[u8]) -> Ack {
    let result = read::<BTreeMap<String, RegistryCredential>>(payload)
        // The parser's words are left out: they quote what they read.
        .map_err(|_| ("request_invalid", "the request is no map from servers to credentials".to_owned()))
        .and_then(|given| host.registries().put(given).map_err(|error| (error.code(), error.to_string())));
    match result {
        Ok(()) => Ok("done".into()),
        Err((code, message)) => {
            tracing::warn!(code, message, "credentials of servers were not taken");
            Err(message)
        }
    }
}
