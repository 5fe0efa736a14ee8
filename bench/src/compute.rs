//! A guest that computes: what our isolation costs it, beside an instance that is used again and again behind guard
//! pages.

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    calls::{BareReused, Contestant, OURS, Ours, Request, TIME, rate},
    guest,
    report::Report,
    settings::Settings,
};

pub(crate) const REUSED: &str = "bare wasmtime 48, reused, guard pages";
const UNINTERRUPTIBLE: &str = "the same without interruption checks";
pub(crate) const SHA256: &str = "SHA-256 of 1 MiB";
pub(crate) const JSON: &str = "JSON, parse of 256 KiB";
/// The column that says how fast ours computes beside [`REUSED`].
pub(crate) const SPEED: &str = "speed, x reused";

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let wasm = guest::heavy("compute")?;
    let contestants: [Box<dyn Contestant>; 3] = [
        Box::new(Ours::new(&wasm)?),
        Box::new(BareReused::new(&wasm, REUSED, true)?),
        Box::new(BareReused::new(&wasm, UNINTERRUPTIBLE, false)?),
    ];
    let requests = [(hashing(), SHA256), (parsing(), JSON)];
    let mut report = Report::new("a guest that computes (crates sha2 and serde_json)");
    for round in 0..settings.rounds {
        settings.tell("compute", round);
        for (request, under) in &requests {
            let mut figures = Vec::new();
            for contestant in &contestants {
                let micros = 1e6 / rate(contestant.as_ref(), request, 1, settings.turns(2))?;
                report.add(contestant.name(), under, TIME, micros);
                figures.push(micros);
            }
            for (contestant, micros) in contestants.iter().zip(&figures) {
                report.add(contestant.name(), under, SPEED, figures[1] / micros);
            }
        }
    }
    report.note(format!("{OURS}: the sandbox is made, filled, run and dropped within the time"));
    report.note("what guests answer is compared with what the same crates answer outside of a sandbox");
    Ok(report)
}

fn hashing() -> Request {
    let payload = Request::echo(1 << 20).payload;
    Request { operation: "sha256", expected: Bytes::from(Sha256::digest(&payload).to_vec()), payload }
}

fn parsing() -> Request {
    let row = |number: usize| {
        json!({ "id": number, "name": format!("user \"{number}\""), "score": number as f64 / 7.0, "active": number % 3 == 0,
                "tags": ["a", "b\n", "ü"], "next": null })
    };
    let document: Value = (0..2300).map(row).collect();
    let count = nodes(&document).to_string();
    Request { operation: "json", payload: document.to_string().into(), expected: count.into() }
}

/// Counts the values in a document, as the guest does.
fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(nodes).sum::<usize>(),
        Value::Object(values) => 1 + values.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}
