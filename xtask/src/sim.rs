//! `sim`: whole lattices in one thread, from seeds.

use anyhow::{Context, Result};

use crate::{
    process::{cargo, run as run_command, say},
    workspace::Workspace,
};

/// Runs simulated lattices with faults, and checks what must never be and what must come right in the end.
///
/// Each seed runs twice, and both runs must be the same. With --seed, one seed runs once and its log is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask sim --seeds 1000\n  cargo xtask sim --seed 42\n  \
                        cargo xtask sim --seeds 100 --first 5000\n  cargo xtask sim --seeds 100 --planted no-fence")]
pub(crate) struct Args {
    /// Replay this seed and show its log.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Build this fault in, to see it found: no-fence, no-links, retry-unknown, late-requests, once-by-each,
    /// forged-beats, both-accepted or silent-purge.
    #[arg(long)]
    planted: Option<String>,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    say("sim: the simulation (some minutes to build the first time)");
    let mut sim = cargo(workspace.root());
    sim.args(["run", "--release", "--quiet", "--package", "wattle-lattice-sim", "--"]);
    match args.seed {
        Some(seed) => sim.args(["one", &seed.to_string()]),
        None => sim.args(["many", &args.first.to_string(), &args.seeds.to_string()]),
    };
    sim.args(&args.planted);
    run_command(&mut sim)
        .context("the simulation found something, or could not run; docs/simulation.md says how to go on")
}
