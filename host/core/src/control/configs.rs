//! Verbs about named configurations; the name stands at the end of the subject.

use bytes::Bytes;
use serde_json::json;

use super::reply::{Ack, ack, answer as reply};
use crate::{configs::ConfigError, host::Host};

/// Before the verb and name in the subject.
pub(super) const PREFIX: &str = "config.";

/// Answers one request. `verb` is what follows [`PREFIX`].
pub(super) async fn answer(host: &Host, verb: &str, payload: &[u8]) -> Vec<u8> {
    match verb.split_once('.') {
        Some(("get", name)) => match host.configs().get(name).await {
            Ok(Some(values)) => reply(Ok(values)),
            Ok(None) => ack(Ok("Configuration not found".into())),
            Err(error) => ack(Err(told(&error))),
        },
        Some(("put", name)) => ack(put(host, name, payload).await),
        Some(("del", name)) => ack(delete(host, name).await),
        _ => ack(Err("unsupported subject".into())),
    }
}

async fn put(host: &Host, name: &str, payload: &[u8]) -> Ack {
    host.configs().put(name, Bytes::copy_from_slice(payload)).await.map_err(|error| told(&error))?;
    host.events_sink().announce("config_set", json!({ "config_name": name }));
    Ok("done".into())
}

async fn delete(host: &Host, name: &str) -> Ack {
    // Other tools know of no force: theirs always had it.
    host.delete_config(name, true).await.map_err(|error| told(&error))?;
    Ok("done".into())
}

fn told(error: &ConfigError) -> String {
    tracing::info!(code = error.code(), %error, "a configuration was not read or written");
    error.to_string()
}
