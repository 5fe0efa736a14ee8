//! `wattle-lattice-sim`: runs seeds from the command line. Use it by way of `cargo xtask sim`.

use std::{
    env,
    io::{Write as _, stderr, stdout},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use wattle_lattice_sim::{Planted, Report, check, run};

/// Complaints shown of each of many seeds.
const SHOWN_MAX: usize = 3;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["one", seed, rest @ ..] => match (seed.parse(), planted(rest)) {
            (Ok(seed), Ok(planted)) => one(seed, planted),
            _ => usage(),
        },
        ["many", first, count, rest @ ..] => match (first.parse(), count.parse(), planted(rest)) {
            (Ok(first), Ok(count), Ok(planted)) => many(first, count, planted),
            _ => usage(),
        },
        _ => usage(),
    }
}

fn planted(words: &[&str]) -> Result<Option<Planted>, ()> {
    match words {
        [] => Ok(None),
        [name] => Planted::named(name).map(Some).ok_or(()),
        _ => Err(()),
    }
}

fn usage() -> ExitCode {
    let names: Vec<_> = Planted::ALL.iter().map(|(name, _)| *name).collect();
    say(&format!("one SEED [PLANTED] | many FIRST COUNT [PLANTED]; PLANTED is one of {}", names.join(", ")));
    ExitCode::from(2)
}

fn say(text: &str) {
    drop(writeln!(stderr(), "{text}"));
}

/// Runs one seed and shows what happened.
fn one(seed: u64, planted: Option<Planted>) -> ExitCode {
    let report = run(seed, planted);
    drop(stdout().write_all(report.log.as_bytes()));
    say(&describe(&report));
    report.complaints.iter().for_each(|complaint| say(&format!("  {complaint}")));
    if report.complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn describe(report: &Report) -> String {
    let Report { seed, mood, hosts, settled, took, hash, counts, .. } = report;
    let counts: Vec<_> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
    let hash = hash.get(..16).unwrap_or(hash);
    format!("seed {seed}: {mood:?}, {hosts} hosts, {took:?}, right after {settled:?}, {hash}: {}", counts.join(", "))
}

/// Runs seeds, each twice, on all cores; lists those that fail.
fn many(first: u64, count: u64, planted: Option<Planted>) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let complaints = check(seed, planted);
                    if !complaints.is_empty() {
                        complaints.iter().take(SHOWN_MAX).for_each(|it| say(&format!("seed {seed} FAILS: {it}")));
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
                    }
                    let done = seed - first + 1;
                    if done.is_multiple_of(50) {
                        say(&format!("{done} of {count} seeds in {:.0} s", begun.elapsed().as_secs_f64()));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_unstable();
    say(&format!(
        "{count} seeds, each twice, in {:.1} s: {} fail {failed:?}",
        begun.elapsed().as_secs_f64(),
        failed.len()
    ));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
