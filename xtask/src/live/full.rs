//! The disk of NATS is full: changes fail by name, serving goes on, and when there is room again, so do changes.

use std::{fs, thread, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{
    fleet::Wire,
    ground::{Ground, PATIENCE, all_answered, counter, until_answered, web},
    load::{Load, Summary},
};

/// What JetStream may store.
const STORE_LEN: &str = "4MB";
/// How long the load goes on without room.
const WITHOUT: Duration = Duration::from_secs(4);
const PIECES: [usize; 5] = [64 * 1024, 4 * 1024, 256, 16, 1];
const PIECES_MAX: usize = 200;

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let folder = ground.folder()?;
    let config = folder.join("nats.conf");
    fs::write(&config, format!("jetstream {{ max_file_store: {STORE_LEN} }}\n"))?;
    let mut lattice = ground.lattice_in(&folder, vec!["-c".into(), config.display().to_string()])?;
    for host in ["front", "back"] {
        lattice.host(host, &[&format!("role={host}")])?;
    }
    let actor = counter(&lattice.fleet, &["--replicas", "1", "--constraint", "role=back"])?;
    lattice.store("back", &actor)?;
    let http = web(&lattice.fleet, "front", &actor)?;
    until_answered(http, PATIENCE)?;
    let load = Load::start(http, "POST /counter/a", 8)?;

    let filled = fill(lattice.nats.port)?;
    let mut names = Vec::new();
    for words in [
        &["scale", "provider", "keyvalue-memory", "--id", "another", "--replicas", "1"][..],
        &["link", "put", &actor, "another", "wasmcloud:keyvalue", "--link-name", "another"],
    ] {
        let Err(refused) = lattice.fleet.try_wattle(words)? else { bail!("`wattle {}` was done", words.join(" ")) };
        ensure!(refused.code.starts_with("kv_"), "refused as {}: {}", refused.code, refused.message);
        let what = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        names.push(format!("`wattle {what}` is refused: {}: {}", refused.code, refused.message));
    }
    thread::park_timeout(WITHOUT);
    names.push(all_answered(&format!("without room ({filled} bytes fill it)"), &Summary::of(&load.take()))?);

    call(&mut Wire::connect(lattice.nats.port)?, "STREAM.DELETE.FILL", "")?;
    lattice.fleet.wattle(&["scale", "provider", "keyvalue-memory", "--id", "another", "--replicas", "1"])?;
    names.push(all_answered("with room again, changes work", &Summary::of(&load.stop()?))?);
    Ok(names)
}

/// Writes to a stream of its own until nothing more is taken, in ever smaller pieces; returns how much was.
fn fill(port: u16) -> Result<usize> {
    let mut wire = Wire::connect(port)?;
    call(&mut wire, "STREAM.CREATE.FILL", r#"{"name":"FILL","subjects":["fill"],"storage":"file","num_replicas":1}"#)?;
    let mut filled = 0;
    for len in PIECES {
        for piece in 0.. {
            ensure!(piece < PIECES_MAX, "{PIECES_MAX} pieces of {len} bytes do not fill {STORE_LEN}");
            let answer = wire.request("fill", &vec![b'x'; len], Duration::from_secs(5))?;
            if String::from_utf8_lossy(&answer.payload).contains("\"error\"") {
                break;
            }
            filled += len;
        }
    }
    Ok(filled)
}

/// Has JetStream do something.
fn call(wire: &mut Wire, what: &str, body: &str) -> Result<()> {
    let answer = wire.request(&format!("$JS.API.{what}"), body.as_bytes(), Duration::from_secs(5))?;
    let answer = String::from_utf8_lossy(&answer.payload).into_owned();
    ensure!(!answer.contains("\"error\""), "{what}: {answer}");
    Ok(())
}
