//! `live`: what a lattice of real processes must survive, tried on this machine.
//!
//! Each check has hosts, a nats-server and a folder of its own, tells what it measured, and fails with what it saw.

mod blink;
mod cluster;
mod frozen;
mod full;
mod killed;
mod leaf;
mod outage;
mod partition;
mod poisoned;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{actors, process::say, program, setup, workspace::Workspace};

use crate::ground::Ground;

/// Takes hosts and NATS away from lattices of real processes, and checks that what must go on does.
///
/// Short unless told otherwise: WATTLE_LIVE_NATS_DOWN_SECS (10) is how long NATS is gone, WATTLE_LIVE_KILLS (3) how
/// often a host is killed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask live\n  cargo xtask live outage\n  \
                        WATTLE_LIVE_KILLS=20 cargo xtask live killed")]
pub(crate) struct Args {
    /// Only these checks.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CHECKS.map(|(name, _)| name)))]
    only: Vec<String>,
}

/// Tries one thing and returns what it measured, in words.
type Check = fn(&Ground<'_>) -> Result<Vec<String>>;

const CHECKS: [(&str, Check); 9] = [
    ("outage", outage::check),
    ("blink", blink::check),
    ("killed", killed::check),
    ("frozen", frozen::check),
    ("poisoned", poisoned::check),
    ("full", full::check),
    ("partition", partition::check),
    ("cluster", cluster::check),
    ("leaf", leaf::check),
];

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    say("live: what is needed");
    let servers = setup::servers(workspace)?;
    actors::build(workspace)?;
    let wattle = program::bring(workspace)?;
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        if !args.only.is_empty() && !args.only.iter().any(|only| only == name) {
            continue;
        }
        say(&format!("live: {name}"));
        let ground = Ground { workspace, wattle: &wattle, servers: &servers, folder: &format!("live/{name}") };
        let begun = Instant::now();
        match check(&ground) {
            Ok(figures) => {
                figures.iter().for_each(|figure| say(&format!("    {figure}")));
                say(&format!("ok  {name} ({:.0} s)", begun.elapsed().as_secs_f64()));
            }
            Err(error) => {
                say(&format!("FAILED  {name}: {error:#}"));
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("live checks failed: {}", failed.join(", "));
    }
    Ok(())
}
