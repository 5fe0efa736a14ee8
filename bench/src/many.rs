//! Ten thousand actors on one host, ten of them busy.

use anyhow::Result;

use crate::{
    actors::{ActorHost, BUSY, write_modules},
    guest::{self, Signer},
    report::Report,
    settings::Settings,
};

pub(crate) const OURS: &str = "ours";
pub(crate) const MEMORY: &str = "MiB resident";
pub(crate) const START: &str = "s to start them";
pub(crate) const P99: &str = "p99 us of the busy";
/// The column that says how many times as long the busy ones take beside all the idle ones.
pub(crate) const TIMES: &str = "p99, x alone";
/// Calls a second, over all busy ones.
const RATE: f64 = 2000.0;

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let actors = settings.amount(10_000, 200);
    let folder = tempfile::tempdir()?;
    let signer = Signer::new()?;
    let wasm = guest::heavy("ping")?;
    write_modules(folder.path(), &signer, &wasm, actors)?;
    let under = under(actors);
    let mut report = Report::new(format!("{actors} actors of {} KiB on one host, {BUSY} busy", wasm.len() / 1024));
    eprintln!("many: compiling {actors} modules");
    ActorHost::start(folder.path(), &signer)?.run(0, actors)?;
    for round in 0..settings.rounds {
        settings.tell("many", round);
        let mut host = ActorHost::start(folder.path(), &signer)?;
        let mut took = host.run(0, BUSY)?;
        host.pace(RATE, settings.turns(2))?;
        let alone = host.pace(RATE, settings.turns(10))?;
        took += host.run(BUSY, actors)?;
        let crowded = host.pace(RATE, settings.turns(10))?;
        report.add(OURS, &format!("{BUSY} actors"), P99, alone);
        report.add(OURS, &under, MEMORY, host.0.memory()?.resident / 1024.0);
        report.add(OURS, &under, START, took);
        report.add(OURS, &under, P99, crowded);
        report.add(OURS, &under, TIMES, crowded / alone);
    }
    report
        .note(format!("restarted in each round with all modules compiled; {RATE} calls a second, evenly, in process"));
    Ok(report)
}

/// Names the load.
pub(crate) fn under(actors: usize) -> String {
    format!("{actors} actors")
}
