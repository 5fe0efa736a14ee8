//! Calls of one guest in this process: ours in a fresh sandbox, bare wasmtime doing the same, and the `wapc` crates.

mod bare;
mod hosted;
mod ours;
pub(crate) mod threads;
mod wapc;

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;

pub(crate) use bare::{Fresh as BareFresh, Reused as BareReused};
pub(crate) use ours::Fresh as Ours;

use crate::{guest, report::Report, settings::Settings};

const SIZES: [(usize, &str); 4] = [(16, "16 B"), (1 << 10, "1 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")];
pub(crate) const OURS: &str = "ours, fresh";
pub(crate) const HOSTED: &str = "ours, fresh, through the host";
pub(crate) const BARE: &str = "bare wasmtime 48, tuned pool, fresh";
pub(crate) const WAPC_FRESH: &str = "wapc 2.2 + provider 2.25, fresh";
pub(crate) const WAPC_REUSED: &str = "wapc 2.2 + provider 2.25, reused";
pub(crate) const TIME: &str = "us/call";
pub(crate) const RATE: &str = "calls/s";
/// Calls between two looks at the clock take about this long.
const BATCH: Duration = Duration::from_millis(2);

/// A way to call a guest.
pub(crate) trait Contestant: Sync {
    /// Who this is, as the table says it.
    fn name(&self) -> &'static str;
    /// Makes what one thread calls with. Called on that thread.
    fn caller(&self) -> Result<Box<dyn Caller + '_>>;
}

/// One thread's way to the guest.
pub(crate) trait Caller {
    /// Calls so many times, one after the other, and returns the last answer.
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes>;
}

/// What is called, and what must come back.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) payload: Bytes,
    pub(crate) expected: Bytes,
}

impl Request {
    /// Has bytes come back as they are.
    pub(crate) fn echo(size: usize) -> Self {
        let payload: Bytes = (0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        Self { operation: "echo", expected: payload.clone(), payload }
    }
}

/// Measures every contestant with every size, on one thread.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let contestants = contestants()?;
    let mut report = Report::new("calls of an echo guest (crate wapc-guest 1.2.0) on one thread, engine only");
    let requests = SIZES.map(|(size, under)| (Request::echo(size), under));
    for round in 0..settings.rounds {
        settings.tell("calls", round);
        for (request, under) in &requests {
            for contestant in &contestants {
                let rate = rate(contestant.as_ref(), request, 1, settings.turns(1))?;
                report.add(contestant.name(), under, TIME, 1e6 / rate);
                report.add(contestant.name(), under, RATE, rate);
            }
        }
    }
    report.add_ratios(TIME, OURS, "x ours");
    report.note("through the host: with routing, admission and slot, called in process");
    report.note("x ours: how many times as long as ours a call takes; above 1 is slower than ours");
    report.note("fresh: every call gets its own sandbox; reused: one instance keeps its memory from call to call");
    report.note("the last answer of each batch of about 2 ms is compared byte by byte, outside the measured time");
    Ok(report)
}

/// Repeats one contestant's calls, for a profiler to look at.
pub(crate) fn profile(contestant: &str, size: usize, threads: usize, turn: Duration) -> Result<()> {
    let contestants = contestants()?;
    let names: Vec<_> = contestants.iter().map(|contestant| contestant.name()).collect();
    let found = contestants.iter().find(|one| one.name().starts_with(contestant));
    let found = found.with_context(|| format!("contestants are: {}", names.join(", ")))?;
    println!("{:.0} calls/s", rate(found.as_ref(), &Request::echo(size), threads, turn)?);
    Ok(())
}

fn contestants() -> Result<Vec<Box<dyn Contestant>>> {
    let wasm = guest::echo()?;
    Ok(vec![
        Box::new(Ours::new(&wasm)?),
        Box::new(hosted::Hosted::new()?),
        Box::new(BareFresh::new(&wasm)?),
        Box::new(wapc::Fresh::new(&wasm)?),
        Box::new(wapc::Reused::new(&wasm)?),
    ])
}

/// Lets the threads call for one turn, and returns the calls per second of all together.
pub(crate) fn rate(contestant: &dyn Contestant, request: &Request, threads: usize, turn: Duration) -> Result<f64> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| one_thread(contestant, request, turn, &barrier))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker must not panic")).sum()
    })
}

fn one_thread(contestant: &dyn Contestant, request: &Request, turn: Duration, barrier: &Barrier) -> Result<f64> {
    // A copy of its own: threads that count references to the same bytes would wait for each other.
    let request = &Request { payload: Bytes::copy_from_slice(&request.payload), ..request.clone() };
    let prepared = contestant.caller().and_then(|mut caller| {
        check(contestant, request, &caller.call(request, 1)?)?;
        let batch = batch(caller.as_mut(), request)?;
        Ok((caller, batch))
    });
    // Everybody comes to the barrier, or the others would wait for ever.
    barrier.wait();
    let (mut caller, batch) = prepared?;
    let (mut calls, mut took) = (0, Duration::ZERO);
    let over = Instant::now() + turn;
    while Instant::now() < over {
        let begun = Instant::now();
        let answer = caller.call(request, batch)?;
        took += begun.elapsed();
        calls += u64::from(batch);
        check(contestant, request, &answer)?;
    }
    Ok(calls as f64 / took.as_secs_f64())
}

fn check(contestant: &dyn Contestant, request: &Request, answer: &Bytes) -> Result<()> {
    ensure!(*answer == request.expected, "{} answers wrongly to {}", contestant.name(), request.operation);
    Ok(())
}

/// Finds how many calls fill a batch, and warms up on the way.
fn batch(caller: &mut dyn Caller, request: &Request) -> Result<u32> {
    let mut times = 1;
    loop {
        let begun = Instant::now();
        caller.call(request, times)?;
        if begun.elapsed() >= BATCH {
            return Ok(times);
        }
        times *= 2;
    }
}
