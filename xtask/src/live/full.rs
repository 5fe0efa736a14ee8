//! The disk of NATS is full: changes fail by name, serving goes on, and when there is room again, so do changes.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    fleet::Wire,
    ground::{Ground, PATIENCE, all_answered, counter, until_answered, web},
    load::{Load, Summary},
};

/// What JetStream may store.
const STORE_LEN: &str = "4MB";
/// How long the load goes on without room.
const WITHOUT: Duration = Duration::from_secs(4);
const FILLER_LEN: usize = 64 * 1024;
const FILLERS_MAX: usize = 200;

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

    let fillers = fill(lattice.nats.port)?;
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
    names.push(all_answered(&format!("without room ({fillers} entries fill it)"), &Summary::of(&load.take()))?);

    let mut wire = Wire::connect(lattice.nats.port)?;
    let purge = b"{\"filter\":\"$KV.LATTICEDATA_default.FILLER_*\"}";
    wire.request("$JS.API.STREAM.PURGE.KV_LATTICEDATA_default", purge, Duration::from_secs(5))?;
    lattice.fleet.wattle(&["scale", "provider", "keyvalue-memory", "--id", "another", "--replicas", "1"])?;
    names.push(all_answered("with room again, changes work", &Summary::of(&load.stop()?))?);
    Ok(names)
}

/// Writes until nothing more is taken, and returns how much was.
fn fill(port: u16) -> Result<usize> {
    let mut wire = Wire::connect(port)?;
    for count in 0..FILLERS_MAX {
        // The last gaps are filled by smaller ones.
        let subject = format!("$KV.LATTICEDATA_default.FILLER_{count}");
        let answer = wire.request(&subject, &vec![b'x'; FILLER_LEN], Duration::from_secs(5))?;
        let answer = String::from_utf8_lossy(&answer.payload).into_owned();
        if answer.contains("error") {
            return fill_gaps(&mut wire, count).context(answer);
        }
    }
    bail!("{FILLERS_MAX} entries of {FILLER_LEN} bytes do not fill {STORE_LEN}")
}

fn fill_gaps(wire: &mut Wire, count: usize) -> Result<usize> {
    for (gap, len) in [16 * 1024, 4 * 1024, 1024, 256, 32, 1].into_iter().enumerate() {
        for filler in 0..16 {
            let subject = format!("$KV.LATTICEDATA_default.FILLER_{gap}_{filler}");
            let answer = wire.request(&subject, &vec![b'x'; len], Duration::from_secs(5))?;
            if String::from_utf8_lossy(&answer.payload).contains("error") {
                break;
            }
        }
    }
    Ok(count)
}
