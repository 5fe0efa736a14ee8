//! NATS is gone for so short a time that nobody is missed: what was under way must not wait for answers that are lost.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};

use super::killed::workers;
use crate::{
    ground::{Ground, millis},
    load::{Load, Summary},
};

/// How long NATS is gone, each time.
const GONE: [Duration; 4] = [Duration::ZERO, Duration::from_millis(300), Duration::from_millis(700), Duration::ZERO];
/// How long is looked on after that.
const AFTER: Duration = Duration::from_secs(5);
/// No request takes longer.
const ANSWERED_IN_US: u32 = 4_000_000;
const IN_FLIGHT: usize = 8;

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let (mut lattice, _, http) = workers(ground)?;
    let load = Load::start(http, "POST /counter/post", IN_FLIGHT)?;
    let mut figures = Vec::new();
    for gone in GONE {
        thread::park_timeout(Duration::from_secs(1));
        drop(load.take());
        lattice.nats.kill()?;
        thread::park_timeout(gone);
        lattice.nats.start()?;
        thread::park_timeout(AFTER);
        let seen = Summary::of(&load.take());
        ensure!(seen.max_us < ANSWERED_IN_US && seen.counted > 0, "a request took {}", millis(seen.max_us));
        thread::park_timeout(Duration::from_secs(1));
        let after = Summary::of(&load.take());
        ensure!(after.failed() == 0 && after.counted > IN_FLIGHT, "not well again: {:?}", after.named);
        let (requests, max) = (seen.requests, millis(seen.max_us));
        figures.push(format!("NATS gone for {gone:?}: {requests} requests, {:?}, max {max}", seen.named));
    }
    Ok(figures)
}
