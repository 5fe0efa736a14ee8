//! Computes: SHA-256, a JSON document; and holds a call, waiting for its key-value provider.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wattle_actor::{Error, KeyValue, Raw, Result};

wattle_actor::actor! {
    "ping" => ping,
    "sha256" => sha256,
    "json" => json,
    "hold" => hold,
}

fn ping(payload: Raw) -> Raw {
    payload
}

fn sha256(payload: Raw) -> Raw {
    Raw(Sha256::digest(&payload.0).to_vec())
}

/// Counts the values in a document.
fn json(payload: Raw) -> Result<Raw> {
    let document: Value = serde_json::from_slice(&payload.0).map_err(|error| Error::new(error.to_string()))?;
    Ok(Raw(nodes(&document).to_string().into_bytes()))
}

fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(nodes).sum::<usize>(),
        Value::Object(values) => 1 + values.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

/// Comes back when the provider answers.
fn hold(payload: Raw) -> Result<Raw> {
    KeyValue::new().increment("held", 1)?;
    Ok(payload)
}
