//! A host is killed under load, again and again.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::partition::GATEWAY;
use crate::ground::{Ground, Lattice, PATIENCE, all_answered, millis, number, until_answered};
use crate::{
    fleet::Wire,
    load::{Load, Summary},
    process::say,
};

/// Scale is restored in less.
const RESTORED_IN: Duration = Duration::from_secs(3);
/// How long the load is watched after a kill.
const AFTER: Duration = Duration::from_secs(3);
/// Requests in flight of each kind.
const IN_FLIGHT: usize = 8;
pub(super) const WORK: [&str; 2] = ["work-1", "work-2"];

/// What one kill did.
struct Kill {
    restored: Duration,
    led: bool,
}

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let kills = number("WATTLE_LIVE_KILLS", 3)?;
    let (mut lattice, actor, http) = workers(ground)?;
    let reads = Load::start(http, "GET /counter/get", IN_FLIGHT)?;
    let writes = Load::start(http, "POST /counter/post", IN_FLIGHT)?;
    let (mut all_reads, mut all_writes, mut all_kills) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..kills {
        let victim = if round % 2 == 0 { hand_over(&lattice)? } else { next(round).to_owned() };
        let kill = kill(&mut lattice, &actor, &victim)?;
        all_reads.extend(reads.take());
        let wrote = writes.take();
        let seen = Summary::of(&wrote);
        let only_unknown = seen.named.keys().all(|name| name.ends_with("outcome_unknown"));
        ensure!(only_unknown && seen.failed() <= IN_FLIGHT, "POST: more than was in flight failed: {:?}", seen.named);
        say(&format!(
            "    kill {} of {kills}: restored in {:.2} s{}, POST without an answer: {}",
            round + 1,
            kill.restored.as_secs_f64(),
            if kill.led { " (it led)" } else { "" },
            seen.failed()
        ));
        all_writes.extend(wrote);
        all_kills.push(kill);
    }
    all_reads.extend(reads.stop()?);
    all_writes.extend(writes.stop()?);
    let mut figures = vec![all_answered("GET, which another host may repeat", &Summary::of(&all_reads))?];
    let wrote = Summary::of(&all_writes);
    figures.push(format!(
        "POST, which may not: {} requests, {:?}, max {}",
        wrote.requests,
        wrote.named,
        millis(wrote.max_us)
    ));
    figures.push(restored(&mut all_kills)?);
    Ok(figures)
}

/// Starts a lattice with the counter on two hosts, and its store and HTTP server on a third.
pub(super) fn workers(ground: &Ground<'_>) -> Result<(Lattice, String, SocketAddr)> {
    workers_on(ground, None)
}

/// The same, with the first host in a network namespace.
pub(super) fn workers_on(ground: &Ground<'_>, namespace: Option<&str>) -> Result<(Lattice, String, SocketAddr)> {
    let everywhere = namespace.map(|_| ["-a", "0.0.0.0"].map(str::to_owned).to_vec());
    let mut lattice = ground.lattice(everywhere.unwrap_or_default())?;
    for host in WORK {
        match namespace.filter(|_| host == "work-1") {
            Some(namespace) => {
                let url = format!("nats://{GATEWAY}:{}", lattice.nats.port);
                lattice.fleet.start_host_in(namespace, host, &["role=work"], &url)?;
            }
            None => lattice.host(host, &["role=work"])?,
        }
    }
    lattice.host("front", &["role=front"])?;
    let spread = ["--replicas", "2", "--spread", "role=work:9", "--spread", "role=front:1"];
    let actor = lattice.counter(&spread)?;
    lattice.store("front", &actor)?;
    let http = lattice.web("front", &actor)?;
    until_answered(http, PATIENCE)?;
    Ok((lattice, actor, http))
}

/// Has the lease let go until a host leads that may be harmed, and returns its name.
pub(super) fn hand_over(lattice: &Lattice) -> Result<String> {
    let mut wire = Wire::connect(lattice.nats.port)?;
    for _ in 0..20 {
        lattice.beats.wait("somebody leads", PATIENCE, |beats| beats.leader().is_some())?;
        let Some((leader, lease)) = lattice.beats.leader().zip(lattice.beats.lease()) else { continue };
        if WORK.contains(&leader.0.as_str()) {
            return Ok(leader.0);
        }
        // As its holder would when it stops.
        let released = format!(r#"{{"host":"{}","term":{},"renewed":0,"released":true}}"#, lease.host, lease.term);
        wire.publish("$KV.LATTICEDATA_default.WATTLE_LEADER", released.as_bytes())?;
        thread::park_timeout(Duration::from_millis(700));
    }
    bail!("the lease does not leave the host with the HTTP server")
}

/// Takes turns.
const fn next(round: u64) -> &'static str {
    if round % 4 == 1 { "work-1" } else { "work-2" }
}

/// Kills a host of the counter, waits for its scale, and lets the host come back.
fn kill(lattice: &mut Lattice, actor: &str, victim: &str) -> Result<Kill> {
    let led = lattice.beats.leader().is_some_and(|(name, _)| name == victim);
    let begun = Instant::now();
    lattice.kill(victim)?;
    lattice.beats.wait("the counter runs on two hosts again", PATIENCE, |beats| beats.who_runs(actor).len() == 2)?;
    let restored = begun.elapsed();
    thread::park_timeout(AFTER.saturating_sub(restored));
    lattice.host(victim, &["role=work"])?;
    lattice.beats.wait("the counter is where it is to be", PATIENCE, |beats| beats.who_runs(actor) == WORK)?;
    Ok(Kill { restored, led })
}

fn restored(kills: &mut [Kill]) -> Result<String> {
    kills.sort_by_key(|kill| kill.restored);
    let worst = kills.last().map(|kill| kill.restored).unwrap_or_default();
    let median = kills.get(kills.len() / 2).map(|kill| kill.restored).unwrap_or_default();
    ensure!(worst < RESTORED_IN, "the worst took {worst:?}");
    Ok(format!(
        "declared scale restored {} times, median {:.2} s, worst {:.2} s; {} of the killed led",
        kills.len(),
        median.as_secs_f64(),
        worst.as_secs_f64(),
        kills.iter().filter(|kill| kill.led).count()
    ))
}
