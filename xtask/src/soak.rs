//! `soak`: a lattice under mixed load, random faults and swaps, for as long as asked; every request is accounted for.

mod chance;
mod faults;
mod ledger;
mod resources;
mod stage;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::{actors, ground::Ground, process::say, program, setup, workspace::Workspace};

use chance::Chance;
use faults::Fault;
use stage::Stage;

/// Keeps a lattice of three hosts under load while hosts and NATS fail at random and versions are swapped.
///
/// The load counts over HTTP: each answer must bear another number, and the store must not have counted more than was
/// asked. What was not answered is named. Memory, threads and file handles of every process are looked at each second;
/// what grows beyond its bound is a failure. Faults come from the seed, which is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask soak --minutes 30\n  cargo xtask soak --minutes 5 --seed 7")]
pub(crate) struct Args {
    /// How long.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Where chance begins [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
    /// Requests in flight at any time.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=1024))]
    connections: u16,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    say("soak: what is needed");
    let servers = setup::servers(workspace)?;
    actors::build(workspace)?;
    let wattle = program::bring(workspace)?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or_else(|| u64::from(clock.subsec_nanos()));
    let time = Duration::from_secs(args.minutes * 60);
    say(&format!("soak: {} minutes from seed {seed}", args.minutes));
    let ground = Ground { workspace, wattle: &wattle, servers: &servers, folder: "soak" };
    let mut stage = Stage::set(&ground, usize::from(args.connections))?;
    match play(&mut stage, Chance::new(seed), time) {
        Ok(()) => stage.close(),
        Err(error) => {
            stage.tell();
            bail!("{error:#} (seed {seed})")
        }
    }
}

/// Lets one fault follow the other until the time is over.
fn play(stage: &mut Stage, mut chance: Chance, time: Duration) -> Result<()> {
    let begun = Instant::now();
    stage.rest(Duration::from_secs(3))?;
    while begun.elapsed() < time {
        let fault = Fault::by(&mut chance);
        say(&format!("soak: {:>5.0} s  {fault}", begun.elapsed().as_secs_f64()));
        stage.suffer(&fault)?;
        stage.rest(Duration::from_millis(1500 + chance.below(2500)))?;
    }
    Ok(())
}
