//! NATS is gone for a while: what is on one host goes on, and what is not comes back by itself.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::ground::{Ground, all_answered, number, until_answered};
use crate::load::{Load, Outcome, Sample, Summary};

/// Within this time after NATS is back, calls between hosts work again.
const BACK_IN: Duration = Duration::from_secs(5);
/// How long is looked on after that.
const AFTER: Duration = Duration::from_secs(8);

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let down = Duration::from_secs(number("WATTLE_LIVE_NATS_DOWN_SECS", 10)?);
    let mut lattice = ground.lattice(Vec::new())?;
    lattice.host("whole", &["role=whole"])?;
    lattice.host("front", &["role=front"])?;
    lattice.host("other", &["role=other"])?;
    let actor = lattice.counter(&["--replicas", "1", "--constraint", "role=whole"])?;
    lattice.store("whole", &actor)?;
    let (local, remote) = (lattice.web("whole", &actor)?, lattice.web("front", &actor)?);
    until_answered(local, BACK_IN)?;
    until_answered(remote, BACK_IN)?;
    let on_local = Load::start(local, "POST /counter/local", 16)?;
    let on_remote = Load::start(remote, "POST /counter/remote", 4)?;
    thread::park_timeout(Duration::from_secs(2));
    let before = Summary::of(&on_remote.take());
    let mut figures = vec![all_answered("between hosts, before", &before)?];

    lattice.nats.kill()?;
    let gone = Instant::now();
    thread::park_timeout(down);
    lattice.nats.start()?;
    let back = Instant::now();
    thread::park_timeout(AFTER);

    let (local, remote) = (on_local.stop()?, on_remote.stop()?);
    figures.push(all_answered(&format!("on one host, NATS gone for {} s", down.as_secs()), &Summary::of(&local))?);
    let during = Summary::between(&remote, gone, back);
    ensure!(during.others.keys().all(|name| name.starts_with("status 50")), "not refused by name: {:?}", during.others);
    figures.push(format!("between hosts meanwhile: {} requests, refused: {:?}", during.requests, during.named));
    figures.push(recovery(&remote, back)?);
    Ok(figures)
}

/// Looks for the last failure: from then on everything worked.
fn recovery(samples: &[Sample], back: Instant) -> Result<String> {
    let failed = |sample: &&Sample| !matches!(sample.outcome, Outcome::Counted { .. });
    let last = samples.iter().filter(failed).map(|sample| sample.at).max().context("nothing failed without NATS")?;
    let took = last.saturating_duration_since(back);
    let after = Summary::between(samples, last + Duration::from_nanos(1), Instant::now());
    ensure!(took < BACK_IN, "calls between hosts failed until {took:?} after NATS was back");
    ensure!(after.counted > 0 && after.failed() == 0, "nothing was answered after NATS was back: {:?}", after.named);
    Ok(format!(
        "between hosts: last failure {:.2} s after NATS answered again, then {} requests, 0 failed",
        took.as_secs_f64(),
        after.requests
    ))
}
