//! Requests as they are read and replies as they are written: JSON.

use serde::{Serialize, de::DeserializeOwned};
use wattle_types::control::Reply;

use crate::{error::HostError, host::Host};

/// What is acknowledged, or why not.
pub(super) type Ack = Result<String, String>;

/// Reads a request.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| format!("the request cannot be read: {error}"))
}

/// Writes an acknowledgement.
pub(super) fn ack(ack: Ack) -> Vec<u8> {
    json(&match ack {
        Ok(message) => Reply::<()>::ack(message),
        Err(message) => Reply::error(message),
    })
}

/// Writes an answer, or why there is none.
pub(super) fn answer<T: Serialize>(answer: Result<T, String>) -> Vec<u8> {
    match answer {
        Ok(answer) => json(&Reply::ok(answer)),
        Err(message) => ack(Err(message)),
    }
}

fn json<T: Serialize>(reply: &Reply<T>) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap_or_else(|error| {
        tracing::error!(%error, "a reply cannot be written as JSON");
        br#"{"success":false,"message":"internal error"}"#.to_vec()
    })
}

/// Returns what stands in a field without the blanks around it. There must be something.
pub(super) fn given<'a>(field: &str, text: &'a str) -> Result<&'a str, String> {
    match text.trim() {
        "" => Err(format!("{field} must not be empty")),
        text => Ok(text),
    }
}

/// Refuses a request whose body names another host than its subject.
pub(super) fn meant_for(host: &Host, named: &str) -> Result<(), String> {
    let (own, named) = (host.id().to_string(), named.trim());
    if named.is_empty() || named == own { Ok(()) } else { Err(format!("this is host {own}, not {named}")) }
}

/// Accepts a change and carries it out in the background; its event tells how it ended. `what` is being done.
pub(super) fn queue<F>(host: &Host, what: &str, change: impl FnOnce(Host) -> F) -> Ack
where
    F: Future<Output = Result<(), HostError>> + Send + 'static,
{
    if host.closing().is_cancelled() {
        return Err(HostError::Draining.to_string());
    }
    let place = host.place_for_change();
    let place = place.ok_or("too many changes are being carried out: try again in a moment")?;
    let change = change(host.clone());
    host.tasks().spawn(async move {
        let _place = place;
        if let Err(error) = change.await {
            tracing::warn!(code = error.code(), %error, "a change that was asked for failed");
        }
    });
    Ok(format!("queued: {what}; an event tells how it ended"))
}
