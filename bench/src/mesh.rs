//! Calls of an actor on another host, beside a bare NATS request and reply of the same payload.
//!
//! Caller, callee and nats-server are three processes; contestants take turns within each round.

mod ends;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use wattle_bus::nats_server::{self, NatsServer, NatsServerOptions};

pub(crate) use ends::{End, serve};

use crate::{helper::Helper, quantiles::percentile, report::Report, settings::Settings};
use ends::Caller;

const SIZES: [(usize, &str); 3] = [(128, "128 B"), (4096, "4 KiB"), (64 * 1024, "64 KiB")];
const IN_FLIGHT: [usize; 3] = [1, 64, 256];
const CONTESTANTS: [End; 2] = [End::Wattle, End::Nats];
pub(crate) const OURS: &str = End::Wattle.name();
pub(crate) const BARE: &str = End::Nats.name();
pub(crate) const P50: &str = "p50 us";
/// The column that says how many times as long as bare NATS a call takes.
pub(crate) const TIMES: &str = "p50, x bare";

/// Names a load.
pub(crate) fn under(size: &str, in_flight: usize) -> String {
    format!("{size}, {in_flight} in flight")
}

/// What one turn of one contestant showed.
struct Turn {
    rate: f64,
    sorted_us: Vec<u32>,
}

/// Measures both contestants, round by round.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(settings))
}

async fn measure(settings: Settings) -> Result<Report> {
    let directory = tempfile::tempdir()?;
    let program = nats_server::find()?;
    let options =
        NatsServerOptions { program, directory: directory.path().to_owned(), port: None, durable_writes: false };
    let server = NatsServer::start_open(options).await?;
    let url = server.url();
    let seed = ends::cluster_seed()?;
    let callees = CONTESTANTS.map(|end| callee(end, &url, &seed)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut callers = Vec::new();
    for (end, (_, target)) in CONTESTANTS.into_iter().zip(&callees) {
        callers.push((end, Caller::connect(end, &url, &seed, target).await?));
    }
    let mut report = Report::new("an actor on another host, and a bare NATS request and reply of the same bytes");
    for round in 0..settings.rounds {
        settings.tell("mesh", round);
        for (size, named) in SIZES {
            for in_flight in IN_FLIGHT {
                one_load(&callers, settings, (size, named), in_flight, &mut report).await?;
            }
        }
    }
    report.add_ratios(P50, BARE, TIMES);
    report.note("caller, callee and nats-server are three processes; contestants take turns within a round");
    drop(callees);
    server.stop().await;
    Ok(report)
}

async fn one_load(
    callers: &[(End, Caller)],
    settings: Settings,
    (size, named): (usize, &str),
    in_flight: usize,
    report: &mut Report,
) -> Result<()> {
    let payload: Bytes = (0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    let under = under(named, in_flight);
    for (end, caller) in callers {
        load(caller, &payload, settings.turns(1) / 4, in_flight).await?;
        let turn = load(caller, &payload, settings.turns(3), in_flight).await?;
        report.add(end.name(), &under, "calls/s", turn.rate);
        report.add(end.name(), &under, P50, percentile(&turn.sorted_us, 50.0));
        report.add(end.name(), &under, "p99 us", percentile(&turn.sorted_us, 99.0));
    }
    Ok(())
}

/// Starts the process that is called, and returns what to call there.
fn callee(end: End, url: &str, seed: &str) -> Result<(Helper, String)> {
    let mut helper = Helper::start(&["answer", end.word(), url], &[(ends::SEED_VARIABLE, seed)])?;
    let target = helper.line()?;
    Ok((helper, target))
}

/// Keeps so many calls in flight for a while.
async fn load(caller: &Caller, payload: &Bytes, turn: Duration, in_flight: usize) -> Result<Turn> {
    let begun = Instant::now();
    let end = begun + turn;
    let one = || async {
        let sent = Instant::now();
        let answer = caller.call(payload.clone()).await?;
        ensure!(answer == *payload, "other bytes came back");
        anyhow::Ok(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX))
    };
    let mut calls: FuturesUnordered<_> = (0..in_flight).map(|_| one()).collect();
    let mut sorted_us = Vec::new();
    while let Some(took) = calls.next().await {
        sorted_us.push(took?);
        if Instant::now() < end {
            calls.push(one());
        }
    }
    let rate = sorted_us.len() as f64 / begun.elapsed().as_secs_f64();
    sorted_us.sort_unstable();
    Ok(Turn { rate, sorted_us })
}
