//! The same call on more and more threads: does a second core help?

use anyhow::Result;

use super::{BareFresh, Contestant, OURS, Ours, RATE, Request, rate};
use crate::{guest, report::Report, settings::Settings};

/// The column that says how many times one thread's rate all have together.
pub(crate) const SCALING: &str = "x 1 thread";

/// Names a number of threads.
pub(crate) fn under(threads: usize) -> String {
    if threads == 1 { "1 KiB, 1 thread".to_owned() } else { format!("1 KiB, {threads} threads") }
}

/// Returns how many threads are tried: 1, 2, 4 and so on, up to the number of cores.
fn steps() -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut steps: Vec<usize> = (0..).map(|power| 1 << power).take_while(|threads| *threads < cores).collect();
    steps.push(cores);
    steps
}

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let wasm = guest::echo()?;
    let contestants: [Box<dyn Contestant>; 2] = [Box::new(Ours::new(&wasm)?), Box::new(BareFresh::new(&wasm)?)];
    let request = Request::echo(1 << 10);
    let mut report = Report::new("isolated echo calls of 1 KiB on more and more threads of one process");
    for round in 0..settings.rounds {
        settings.tell("threads", round);
        for contestant in &contestants {
            let mut alone = None;
            for threads in steps() {
                let rate = rate(contestant.as_ref(), &request, threads, settings.turns(2))?;
                let alone = *alone.get_or_insert(rate);
                report.add(contestant.name(), &under(threads), RATE, rate);
                report.add(contestant.name(), &under(threads), SCALING, rate / alone);
            }
        }
    }
    report.note(format!("{OURS} and bare wasmtime each have one engine that all threads share"));
    Ok(report)
}
