//! Computes: SHA-256, a JSON document, a regular expression; holds a call, waiting for its key-value provider; and
//! behaves badly, for a while or for ever.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wattle_actor::{Error, KeyValue, Raw, Result};

wattle_actor::actor! {
    "ping" => ping,
    "sha256" => sha256,
    "json" => json,
    "regex" => matches,
    "hold" => hold,
    "spin" => spin,
    "burst" => burst,
    "chatter" => chatter,
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

/// Never comes back.
fn spin(_: Raw) -> Raw {
    loop {
        std::hint::spin_loop();
        std::hint::black_box(());
    }
}

/// Computes for some milliseconds.
fn burst(_: Raw) -> Raw {
    const STEPS: u32 = 2_000_000;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..STEPS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state = std::hint::black_box(state);
    }
    Raw(state.to_le_bytes().to_vec())
}

/// Asks its key-value provider as often as a call may.
fn chatter(payload: Raw) -> Result<Raw> {
    const TIMES: u32 = 9_000;
    let store = KeyValue::new();
    for _ in 0..TIMES {
        store.increment("chatter", 1)?;
    }
    Ok(payload)
}
