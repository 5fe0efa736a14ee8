//! A host stands still for a while, and goes on as if nothing had happened: it must not act as the leader it was.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};

use super::killed::{WORK, hand_over, workers};
use crate::{
    fleet::Beats,
    ground::{Ground, Lattice, PATIENCE, all_answered, log, millis},
    load::{Load, Summary},
};

/// How long it stands still: longer than a lease lasts, and than a silent host is believed in.
const STILL: Duration = Duration::from_secs(4);
/// How long is looked on after that.
const AFTER: Duration = Duration::from_secs(4);
/// Requests in flight of each kind.
const IN_FLIGHT: usize = 8;

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let (mut lattice, actor, http) = workers(ground)?;
    let leader = hand_over(&lattice)?;
    let (_, term) = lattice.beats.leader().context("nobody leads")?;
    let reads = Load::start(http, "GET /counter/get", IN_FLIGHT)?;
    let writes = Load::start(http, "POST /counter/post", IN_FLIGHT)?;
    thread::park_timeout(Duration::from_secs(1));

    lattice.fleet.host(&leader)?.signal("STOP")?;
    thread::park_timeout(STILL);
    let (next, next_term) = lattice.beats.leader().context("nobody leads")?;
    ensure!(next != leader && next_term > term, "{leader} leads in term {next_term} although it stands still");
    let replaced = lattice.beats.who_runs(&actor);
    ensure!(replaced.len() == 2 && !replaced.contains(&leader), "the counter runs on {replaced:?}");
    lattice.fleet.host(&leader)?.signal("CONT")?;
    let whole = |beats: &Beats| beats.who_runs(&actor) == WORK;
    let back = lattice.beats.wait("the counter is where it is to be", PATIENCE, whole)?;
    thread::park_timeout(AFTER);
    stays(&lattice, &leader, (&next, next_term))?;

    let (reads, writes) = (Summary::of(&reads.stop()?), Summary::of(&writes.stop()?));
    let only_unknown = writes.named.keys().all(|name| name.ends_with("outcome_unknown"));
    ensure!(only_unknown && writes.failed() <= IN_FLIGHT, "POST: more than was in flight failed: {:?}", writes.named);
    Ok(vec![
        format!("{leader} led in term {term} and stood still for {STILL:?}; {next} led in term {next_term} and stays"),
        format!("{:.2} s after it went on, everything was where it is to be", back.as_secs_f64()),
        all_answered("GET, which another host may repeat", &reads)?,
        format!("POST, which may not: {} requests, {:?}, max {}", writes.requests, writes.named, millis(writes.max_us)),
    ])
}

/// Checks that the one who took over still leads, and that the other one has noticed.
fn stays(lattice: &Lattice, old: &str, new: (&str, u64)) -> Result<()> {
    let (now, term) = lattice.beats.leader().context("nobody leads")?;
    ensure!((now.as_str(), term) == new, "{now} leads in term {term}, not {} in term {}", new.0, new.1);
    let log = log(&lattice.fleet, old);
    let follows = log.contains("does not lead the lattice any more");
    ensure!(follows, "{old} did not say that it follows; {}", lattice.fleet.log_of(old));
    Ok(())
}
