//! What an actor costs that nobody calls, and what a call costs that waits.

use anyhow::Result;

use crate::{
    actors::{ActorHost, write_modules},
    guest::{self, Signer},
    helper::Memory,
    report::Report,
    settings::Settings,
};

pub(crate) const FROM_CACHE: &str = "ours, found compiled";
const COMPILED: &str = "ours, just compiled";
pub(crate) const ACTOR: &str = "a further idle actor";
pub(crate) const CALL: &str = "a call in flight";
/// Everything resident, compiled code in the page cache included.
pub(crate) const RESIDENT: &str = "KiB resident";
/// The same, with the pages that many sandboxes map counted once, as the machine holds them.
pub(crate) const ONCE: &str = "KiB, pages once";
pub(crate) const OWN: &str = "KiB its own";
/// Actors that come up before the first look: what a first one costs is not what a further one costs.
const FIRST: usize = 10;

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let (actors, calls) = (settings.amount(1000, 50), settings.amount(500, 50));
    let folder = tempfile::tempdir()?;
    let signer = Signer::new()?;
    let wasm = guest::heavy("compute")?;
    write_modules(folder.path(), &signer, &wasm, FIRST + actors)?;
    let mut report = Report::new(format!("memory, with {actors} distinct modules of {} KiB each", wasm.len() / 1024));
    eprintln!("idle: compiling {} modules", FIRST + actors);
    one_round(folder.path(), &signer, COMPILED, [actors, calls], &mut report)?;
    for round in 0..settings.rounds {
        settings.tell("idle", round);
        one_round(folder.path(), &signer, FROM_CACHE, [actors, calls], &mut report)?;
    }
    report.note(
        "growth of a host's process by so many actors and calls, divided by their number; a new process each round",
    );
    report.note("resident: with what is shared with files, such as compiled code; its own: no file could give it back");
    report.note("pages once: a page that many sandboxes map is one page of the machine (proportional set size)");
    report.note(format!("{calls} calls of one actor in flight, each waiting for its key-value provider"));
    report
        .note("modules are distinct by a section with a number: each is verified, compiled, kept and mapped by itself");
    Ok(report)
}

fn one_round(
    folder: &std::path::Path,
    signer: &Signer,
    contestant: &str,
    [actors, calls]: [usize; 2],
    report: &mut Report,
) -> Result<()> {
    let mut host = ActorHost::start(folder, signer)?;
    host.run(0, FIRST)?;
    let first = host.0.memory()?;
    host.run(FIRST, FIRST + actors)?;
    let all = host.0.memory()?;
    host.hold(calls)?;
    let held = host.0.memory()?;
    let mut add = |under, before: Memory, after: Memory, count: usize| {
        report.add(contestant, under, RESIDENT, (after.resident - before.resident) / count as f64);
        report.add(contestant, under, ONCE, (after.once - before.once) / count as f64);
        report.add(contestant, under, OWN, (after.own - before.own) / count as f64);
    };
    add(ACTOR, first, all, actors);
    add(CALL, all, held, calls);
    Ok(())
}
