//! Computes: SHA-256, a JSON document, a regular expression; and holds a call, waiting for its key-value provider.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wattle_actor::{Error, KeyValue, Raw, Result};

wattle_actor::actor! {
    "ping" => ping,
    "sha256" => sha256,
    "json" => json,
    "regex" => matches,
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

/// First line: the pattern. The rest: where it is looked for.
fn matches(payload: Raw) -> Result<Raw> {
    let text = std::str::from_utf8(&payload.0).map_err(|error| Error::new(error.to_string()))?;
    let (pattern, text) = text.split_once('\n').ok_or_else(|| Error::new("a pattern and a text are needed"))?;
    let regex = regex_lite::Regex::new(pattern).map_err(|error| Error::new(error.to_string()))?;
    Ok(Raw(regex.find_iter(text).count().to_string().into_bytes()))
}

/// Comes back when the provider answers.
fn hold(payload: Raw) -> Result<Raw> {
    KeyValue::new().increment("held", 1)?;
    Ok(payload)
}
