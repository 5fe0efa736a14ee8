//! `bench`: what a call costs, beside what others and the bare parts cost, all in one run.

use anyhow::{Context, Result};

use crate::{
    actors,
    process::{cargo, run as run_command, say},
    setup,
    workspace::Workspace,
};

/// Measures calls and HTTP against bare wasmtime, the wapc crates and bare axum, in one run, and prints ratios.
///
/// Figures of one run may be compared with each other; those of different runs or machines may not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench -- --help\n  cargo xtask bench -- -o json")]
pub(crate) struct Args {
    /// What to tell the benchmark.
    #[arg(last = true)]
    words: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    setup::npm()?;
    actors::build(workspace)?;
    say("bench: the guests of others");
    let mut guests = cargo(workspace.root());
    guests.args(["run", "--quiet", "--package", "wattle-lattice-tests", "--bin", "third-party"]);
    run_command(&mut guests)?;
    say("bench: the benchmark (some minutes the first time)");
    let mut bench = cargo(&workspace.root().join("bench"));
    bench.args(["run", "--release", "--quiet", "--"]).args(&args.words);
    run_command(&mut bench).context("the benchmark failed")
}
