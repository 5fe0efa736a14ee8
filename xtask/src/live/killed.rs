//! A host is killed under load, again and again.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::ground::{Ground, Lattice, PATIENCE, all_answered, millis, number, until_answered};
use crate::{
    load::{Load, Summary},
    process::say,
};

/// Scale is restored in less.
const RESTORED_IN: Duration = Duration::from_secs(3);
/// How long the load is watched after a kill.
const AFTER: Duration = Duration::from_secs(3);
/// Requests in flight of each kind.
const IN_FLIGHT: usize = 8;
const WORK: [&str; 2] = ["work-1", "work-2"];

/// What one kill did.
struct Kill {
    restored: Duration,
    led: bool,
}

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let kills = number("WATTLE_LIVE_KILLS", 3)?;
    let mut lattice = ground.lattice(Vec::new())?;
    // The first host leads: so one that may be killed.
    for host in WORK {
        lattice.host(host, &["role=work"])?;
    }
    lattice.host("front", &["role=front"])?;
    let spread = ["--replicas", "2", "--spread", "role=work:9", "--spread", "role=front:1"];
    let actor = lattice.counter(&spread)?;
    lattice.store("front", &actor)?;
    let http = lattice.web("front", &actor)?;
    until_answered(http, PATIENCE)?;

    let reads = Load::start(http, "GET /counter/get", IN_FLIGHT)?;
    let writes = Load::start(http, "POST /counter/post", IN_FLIGHT)?;
    let (mut all_reads, mut all_writes, mut all_kills) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..kills {
        let kill = kill(&mut lattice, &actor, usize::try_from(round)?)?;
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

/// Kills a host of the counter, waits for its scale, and lets the host come back.
fn kill(lattice: &mut Lattice, actor: &str, round: usize) -> Result<Kill> {
    let leader = lattice.beats.leader().map(|(name, _)| name);
    // Whoever leads, if it may be killed: what it would have done is then left to another.
    let victim = leader.as_deref().filter(|name| WORK.contains(name));
    let victim = victim.unwrap_or_else(|| WORK.get(round % 2).copied().unwrap_or("work-1")).to_owned();
    let begun = Instant::now();
    lattice.kill(&victim)?;
    lattice.beats.wait("the counter runs on two hosts again", PATIENCE, |beats| beats.who_runs(actor).len() == 2)?;
    let restored = begun.elapsed();
    thread::park_timeout(AFTER.saturating_sub(restored));
    lattice.host(&victim, &["role=work"])?;
    lattice.beats.wait("the counter is where it is to be", PATIENCE, |beats| beats.who_runs(actor) == WORK)?;
    Ok(Kill { restored, led: leader.as_ref() == Some(&victim) })
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
