//! Somebody writes garbage into the shared state: it harms nobody.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};

use super::killed::{WORK, workers};
use crate::{
    fleet::{Beats, Wire},
    ground::{Ground, PATIENCE, all_answered, until_answered},
    load::{Load, Summary},
};

/// Garbage, and what is nearly none.
const PAYLOADS: [&[u8]; 5] = [b"", b"\xff\xfe garbage", b"{", b"[[[[[[[[[[[[", b"{\"replicas\": -1, \"reference\": 7}"];
const KEYS: [&str; 7] = [
    "COMPONENT_x",
    "CLAIMS_x",
    "WATTLE_ACTOR_x",
    "WATTLE_PROVIDER_x",
    "WATTLE_ROLLOUT_x",
    "WATTLE_NEWER_x",
    "WATTLE_LEADER",
];

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let (mut lattice, actor, http) = workers(ground)?;
    let load = Load::start(http, "POST /counter/a", 8)?;
    let mut wire = Wire::connect(lattice.nats.port)?;
    let mut put = |key: &str, payload: &[u8]| {
        let subject = format!("$KV.LATTICEDATA_default.{key}");
        wire.request(&subject, payload, Duration::from_secs(5)).map(drop)
    };
    let own = [format!("WATTLE_ROLLOUT_{actor}"), format!("CLAIMS_{actor}")];
    let keys: Vec<&str> = KEYS.into_iter().chain(own.iter().map(String::as_str)).collect();
    for payload in PAYLOADS {
        for key in &keys {
            put(key, payload)?;
        }
    }
    let written = PAYLOADS.len() * keys.len();
    thread::park_timeout(Duration::from_secs(3));
    let mut figures = vec![format!("{written} entries of garbage, under names such as {}", keys.join(", "))];

    // Everything still works: a host that comes now reads all of it; the scale is kept; something new is declared.
    lattice.host("late", &["role=late"])?;
    let late = lattice.web("late", &actor)?;
    until_answered(late, PATIENCE)?;
    lattice.kill("work-1")?;
    let restored = lattice.beats.wait("the scale is restored", PATIENCE, |beats| beats.who_runs(&actor).len() == 2)?;
    lattice.host("work-1", &["role=work"])?;
    lattice.beats.wait("the counter is back", PATIENCE, |beats: &Beats| beats.who_runs(&actor) == WORK)?;
    lattice.fleet.wattle(&["scale", "provider", "keyvalue-memory", "--id", "another", "--replicas", "2"])?;
    figures.push(format!("a new host serves; the scale is kept ({:.2} s); more is declared", restored.as_secs_f64()));

    let seen = Summary::of(&load.stop()?);
    let only_killed = seen.named.keys().all(|name| name.ends_with("outcome_unknown")) && seen.failed() <= 8;
    ensure!(only_killed, "more failed than the killed host had: {:?}", seen.named);
    figures.push(format!("{} requests, of which the killed host lost {}", seen.requests, seen.failed()));
    // What it was before any of this, on a lattice at rest.
    let load = Load::start(late, "POST /counter/b", 8)?;
    thread::park_timeout(Duration::from_secs(1));
    figures.push(all_answered("afterwards", &Summary::of(&load.stop()?))?);
    Ok(figures)
}
