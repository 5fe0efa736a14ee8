//! `bench`: what a call costs, beside what others and the bare parts cost, all in one run.

mod guests;
mod peers;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    actors,
    process::{cargo, run as run_command, say},
    setup,
    workspace::Workspace,
};

/// What needs no guest to be built before.
const LOOKING: [&str; 6] = ["--list", "--compare", "--show", "--help", "-h", "--version"];

/// Measures Wattle beside bare wasmtime, the wapc crates, bare axum and bare NATS: rounds, medians, ratios, goals.
///
/// All words go to the benchmark; `cargo xtask bench --help` says what it understands. Figures of one run may be
/// compared with each other; those of different runs or machines may not.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Scenarios and options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let looks = args.words.iter().any(|word| LOOKING.contains(&word.as_str()));
    let nats = if looks { None } else { Some(prepare(workspace, args.words.iter().any(|word| word == "--peers"))?) };
    say("bench: the benchmark (some minutes to build the first time)");
    let mut bench = cargo(workspace.root());
    let manifest = workspace.root().join("bench/Cargo.toml");
    bench.args(["run", "--release", "--quiet", "--manifest-path"]).arg(manifest).arg("--").args(&args.words);
    // Its own folder, whatever the environment names for the host's crates.
    bench.env_remove("CARGO_TARGET_DIR");
    if let Some(nats) = nats {
        bench.env("WATTLE_NATS_SERVER", nats);
    }
    run_command(&mut bench).context("the benchmark failed")
}

/// Builds and brings what scenarios need; returns the nats-server.
fn prepare(workspace: &Workspace, peers: bool) -> Result<PathBuf> {
    setup::npm()?;
    let nats = setup::nats(workspace)?;
    actors::build(workspace)?;
    guests::build(workspace, peers)?;
    if peers {
        peers::build(workspace)?;
    }
    say("bench: the guests of others");
    let mut guests = cargo(workspace.root());
    guests.args(["run", "--quiet", "--package", "wattle-lattice-tests", "--bin", "third-party"]);
    run_command(&mut guests)?;
    Ok(nats)
}
