//! Calls of an actor on another host, beside a bare NATS request and reply of the same payload.
//!
//! Caller, callee and nats-server are three processes; contestants take turns within each round.

mod ends;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use wattle_bus::nats_server::{self, NatsServer, NatsServerOptions};

pub(crate) use ends::{End, serve};

use crate::{
    quantiles::{median, percentile},
    table::{Row, Table},
};
use ends::Caller;

const SIZES: [usize; 3] = [128, 4096, 64 * 1024];
const IN_FLIGHT: [usize; 3] = [1, 64, 256];
const CONTESTANTS: [End; 2] = [End::Wattle, End::Nats];

/// What one turn of one contestant showed.
struct Turn {
    rate: f64,
    sorted_us: Vec<u32>,
}

/// Measures both contestants, round by round.
pub(crate) fn run(rounds: u32, turn: Duration) -> Result<Table> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(rounds, turn))
}

async fn measure(rounds: u32, turn: Duration) -> Result<Table> {
    let directory = tempfile::tempdir()?;
    let program = nats_server::find()?;
    let options = NatsServerOptions { program, directory: directory.path().to_owned(), port: None };
    let server = NatsServer::start_open(options).await?;
    let url = server.url();
    let seed = ends::cluster_seed()?;
    let callees = CONTESTANTS.map(|end| Callee::start(end, &url, &seed)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut callers = Vec::new();
    for (end, callee) in CONTESTANTS.iter().zip(&callees) {
        callers.push(Caller::connect(*end, &url, &seed, &callee.target).await?);
    }
    let mut rows = Vec::new();
    for size in SIZES {
        for in_flight in IN_FLIGHT {
            rows.extend(compare(&callers, rounds, turn, size, in_flight).await?);
        }
    }
    eprintln!();
    drop(callees);
    server.stop().await;
    Ok(Table {
        title: "An actor on another host, and a bare NATS request and reply".into(),
        columns: vec![("calls/s", 0), ("p50 us", 0), ("p99 us", 0), ("p50 x bare", 2), ("p99 x bare", 2)],
        rows,
        notes: vec!["x bare: how many times as long as bare NATS takes, in the same rounds".into()],
    })
}

async fn compare(callers: &[Caller], rounds: u32, turn: Duration, size: usize, in_flight: usize) -> Result<Vec<Row>> {
    let payload = Bytes::from(vec![b'x'; size]);
    let mut turns: Vec<Vec<Turn>> = callers.iter().map(|_| Vec::new()).collect();
    for caller in callers {
        load(caller, &payload, turn / 2, in_flight).await?;
    }
    for round in 0..rounds {
        eprint!("\rmesh: {size} B, {in_flight} in flight, round {} of {rounds}   ", round + 1);
        for (caller, turns) in callers.iter().zip(&mut turns) {
            turns.push(load(caller, &payload, turn, in_flight).await?);
        }
    }
    let Some(bare) = turns.last() else { return Ok(Vec::new()) };
    let under = format!("{size} B, {in_flight} in flight");
    Ok(CONTESTANTS.iter().zip(&turns).map(|(end, turns)| row(*end, &under, turns, bare)).collect())
}

fn row(end: End, under: &str, turns: &[Turn], bare: &[Turn]) -> Row {
    let at = |turn: &Turn, percent| percentile(&turn.sorted_us, percent);
    let ratio =
        |percent| median(turns.iter().zip(bare).map(|(own, bare)| at(own, percent) / at(bare, percent)).collect());
    Row {
        contestant: end.name().to_owned(),
        under: under.to_owned(),
        figures: vec![
            median(turns.iter().map(|turn| turn.rate).collect()),
            median(turns.iter().map(|turn| at(turn, 50)).collect()),
            median(turns.iter().map(|turn| at(turn, 99)).collect()),
            ratio(50),
            ratio(99),
        ],
    }
}

/// Keeps so many calls in flight for a while.
async fn load(caller: &Caller, payload: &Bytes, turn: Duration, in_flight: usize) -> Result<Turn> {
    let begun = Instant::now();
    let end = begun + turn;
    let one = || async {
        let sent = Instant::now();
        let answer = caller.call(payload.clone()).await?;
        ensure!(answer.len() == payload.len(), "{} bytes came back of {}", answer.len(), payload.len());
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

/// The process that is called; it ends with this value.
struct Callee {
    child: Child,
    /// What to call there.
    target: String,
}

impl Callee {
    fn start(end: End, url: &str, seed: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["answer", end.word(), url])
            .env(ends::SEED_VARIABLE, seed)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a callee cannot be started")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let callee = Self { child, target: line.trim().to_owned() };
        ensure!(!callee.target.is_empty(), "{} did not come up", end.name());
        Ok(callee)
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
