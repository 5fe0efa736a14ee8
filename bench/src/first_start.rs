//! What other actors feel while a large module is verified, compiled and probed for the first time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Result;

use crate::{
    guest::{self, Signer},
    helper::Helper,
    http::{
        OURS, Running, Server,
        open_loop::{self, Arrivals, Pace, Seen},
    },
    quantiles::percentile,
    report::Report,
    settings::Settings,
};

pub(crate) const ALONE: &str = "nothing else happens";
pub(crate) const MEANWHILE: &str = "meanwhile 2.4 MB are compiled";
pub(crate) const P99: &str = "p99 us";
/// The column that says how many times as long the slowest hundredth takes meanwhile.
pub(crate) const TIMES: &str = "p99, x alone";
/// Requests a second: a host with some work to do.
const RATE: f64 = 2000.0;
/// Longest start that is waited for.
const START_MAX: Duration = Duration::from_secs(60);

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let signer = Signer::new()?;
    let file = folder.path().join("heavy.wasm");
    std::fs::write(&file, signer.sign(&guest::heavy("heavy")?, "heavy", &[])?)?;
    let mut server = Running::start_trusting(Server::Hello, &signer.issuer().to_string())?;
    let target = server.target.clone();
    let pace = Pace { rate: RATE, arrivals: Arrivals::Even, connections: 16 };
    let mut report =
        Report::new("HTTP hello at 2 000 requests a second while another actor is started for the first time");
    let mut all: [(&str, Vec<u32>); 2] = [(ALONE, Vec::new()), (MEANWHILE, Vec::new())];
    open_loop::run(&target, pace, settings.turns(5))?;
    for round in 0..settings.rounds {
        settings.tell("first_start", round);
        let alone = open_loop::run(&target, pace, settings.turns(20))?;
        let over = AtomicBool::new(false);
        let (meanwhile, started) = std::thread::scope(|scope| {
            let load = scope.spawn(|| open_loop::run_until(&target, pace, START_MAX, &over));
            let started = start(&mut server.helper, &file.display().to_string());
            over.store(true, Ordering::Relaxed);
            (load.join().expect("a client must not panic"), started)
        });
        report.add(OURS, MEANWHILE, "ms to start", started?);
        for ((under, all), seen) in all.iter_mut().zip([alone, meanwhile?]) {
            tell(&mut report, under, &seen);
            all.extend(seen.sorted_us);
        }
    }
    let times = |report: &Report| {
        let [alone, meanwhile] = [ALONE, MEANWHILE].map(|under| report.samples(OURS, under, P99).unwrap_or_default());
        meanwhile.iter().zip(alone).map(|(meanwhile, alone)| meanwhile / alone).collect::<Vec<_>>()
    };
    times(&report).into_iter().for_each(|times| report.add(OURS, MEANWHILE, TIMES, times));
    for (under, all) in all {
        report.add_distribution(OURS, under, all);
    }
    report.note("open loop, evenly, 16 connections; no compile cache; the actor is stopped after each start");
    Ok(report)
}

fn start(helper: &mut Helper, file: &str) -> Result<f64> {
    Ok(helper.ask(&format!("start {file}"))?.parse()?)
}

fn tell(report: &mut Report, under: &str, seen: &Seen) {
    report.add(OURS, under, "p50 us", percentile(&seen.sorted_us, 50.0));
    report.add(OURS, under, P99, percentile(&seen.sorted_us, 99.0));
}
