//! Calls of one echo guest: ours in a fresh sandbox, bare wasmtime doing the same, and the `wapc` crates.

mod bare;
mod ours;
mod wapc;

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;

use crate::{
    guest, quantiles,
    table::{Row, Table},
};

const OPERATION: &str = "echo";
const SIZES: [(usize, &str); 4] = [(16, "16 B"), (1 << 10, "1 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")];
const THREADS: [usize; 2] = [1, 2];
/// Calls between two looks at the clock take about this long.
const BATCH: Duration = Duration::from_millis(2);

/// A way to call the guest.
trait Contestant: Sync {
    /// Who this is, as the table says it.
    fn name(&self) -> &'static str;
    /// Whether calls on several threads are measured, too.
    fn is_threaded(&self) -> bool;
    /// Makes what one thread calls with. Called on that thread.
    fn caller(&self) -> Result<Box<dyn Caller + '_>>;
}

/// One thread's way to the guest.
trait Caller {
    /// Calls so many times, one after the other, and returns the last answer's length.
    fn call(&mut self, payload: &Bytes, times: u32) -> Result<usize>;
}

/// Measures everything.
pub(crate) fn run(rounds: u32, turn: Duration) -> Result<Table> {
    let contestants = contestants()?;
    let mut cells = Vec::new();
    for threads in THREADS {
        for (size, under) in SIZES {
            for contestant in contestants.iter().filter(|contestant| threads == 1 || contestant.is_threaded()) {
                cells.push(Cell { contestant: contestant.as_ref(), size, under, threads, rates: Vec::new() });
            }
        }
    }
    for round in 0..rounds {
        eprint!("\rcalls: round {} of {rounds}", round + 1);
        for cell in &mut cells {
            cell.rates.push(rate(cell.contestant, cell.size, cell.threads, turn)?);
        }
    }
    eprintln!();
    Ok(tabulate(&cells))
}

/// Repeats one contestant's calls.
pub(crate) fn profile(contestant: &str, size: usize, threads: usize, turn: Duration) -> Result<()> {
    let contestants = contestants()?;
    let names: Vec<_> = contestants.iter().map(|contestant| contestant.name()).collect();
    let found = contestants.iter().find(|one| one.name().starts_with(contestant));
    let found = found.with_context(|| format!("contestants are: {}", names.join(", ")))?;
    println!("{:.0} calls/s", rate(found.as_ref(), size, threads, turn)?);
    Ok(())
}

fn contestants() -> Result<Vec<Box<dyn Contestant>>> {
    let wasm = guest::echo()?;
    Ok(vec![
        Box::new(ours::Fresh::new(&wasm)?),
        Box::new(bare::Fresh::new(&wasm)?),
        Box::new(wapc::Fresh::new(&wasm)?),
        Box::new(wapc::Reused::new(&wasm)?),
    ])
}

/// One contestant under one load.
struct Cell<'a> {
    contestant: &'a dyn Contestant,
    size: usize,
    under: &'static str,
    threads: usize,
    /// Calls per second of all threads, one for each round.
    rates: Vec<f64>,
}

impl Cell<'_> {
    fn rate(&self) -> f64 {
        quantiles::median(self.rates.clone())
    }

    /// Tells how many times as long a call takes here as in the other cell, by the median over rounds.
    fn times_as_long_as(&self, other: &Self) -> f64 {
        quantiles::median(self.rates.iter().zip(&other.rates).map(|(own, other)| other / own).collect())
    }

    fn row(&self, all: &[Self]) -> Row {
        // The first cell of the same load is ours.
        let ours = all.iter().find(|cell| cell.size == self.size && cell.threads == self.threads);
        let threads = if self.threads == 1 { "1 thread" } else { "2 threads" };
        let slowest = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = self.rates.iter().copied().fold(0.0, f64::max);
        let micros = |rate: f64| self.threads as f64 * 1e6 / rate;
        Row {
            contestant: self.contestant.name().to_owned(),
            under: format!("{}, {threads}", self.under),
            figures: vec![
                micros(self.rate()),
                micros(fastest),
                micros(slowest),
                self.rate(),
                ours.map_or(1.0, |ours| self.times_as_long_as(ours)),
            ],
        }
    }
}

fn tabulate(cells: &[Cell<'_>]) -> Table {
    Table {
        title: "Calls of an echo guest (crate wapc-guest 1.2.0)".into(),
        columns: vec![("us/call", 2), ("best", 2), ("worst", 2), ("calls/s", 0), ("x ours", 2)],
        rows: cells.iter().map(|cell| cell.row(cells)).collect(),
        notes: vec![
            "us/call: time of one call on its thread, median over rounds; calls/s: all threads together".into(),
            "x ours: how many times as long as ours a call takes; above 1 is slower than ours".into(),
            "fresh: every call gets its own sandbox; reused: one instance keeps its memory from call to call".into(),
        ],
    }
}

/// Lets the threads call for one turn, and returns the calls per second of all together.
fn rate(contestant: &dyn Contestant, size: usize, threads: usize, turn: Duration) -> Result<f64> {
    let payload: Bytes = (0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| one_thread(contestant, &payload, turn, &barrier))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker must not panic")).sum()
    })
}

fn one_thread(contestant: &dyn Contestant, payload: &Bytes, turn: Duration, barrier: &Barrier) -> Result<f64> {
    let prepared = contestant.caller().and_then(|mut caller| {
        ensure!(caller.call(payload, 1)? == payload.len(), "{} does not echo", contestant.name());
        let batch = batch(caller.as_mut(), payload)?;
        Ok((caller, batch))
    });
    // Everybody comes to the barrier, or the others would wait for ever.
    barrier.wait();
    let (mut caller, batch) = prepared?;
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < turn {
        ensure!(caller.call(payload, batch)? == payload.len(), "{} does not echo", contestant.name());
        calls += u64::from(batch);
    }
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}

/// Finds how many calls fill a batch, and warms up on the way.
fn batch(caller: &mut dyn Caller, payload: &Bytes) -> Result<u32> {
    let mut times = 1;
    loop {
        let begun = Instant::now();
        caller.call(payload, times)?;
        if begun.elapsed() >= BATCH {
            return Ok(times);
        }
        times *= 2;
    }
}
