//! `guard`: the instructions a call costs, against those it cost when somebody last looked.
//!
//! Counted by valgrind, so the same on a busy machine as on an idle one. Each case runs with few and with many calls,
//! and the difference counts: what starting costs is in both.

mod baseline;

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    process::{cargo, run as run_command, say},
    setup,
    workspace::Workspace,
};

use baseline::{Baseline, Verdict};

/// Counts the instructions of a call, and fails when there are more than the baseline allows.
///
/// The baseline is lattice-tests/guard/baseline.json. A change that is meant to cost more, or costs less, refreshes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask guard\n  cargo xtask guard --refresh\n  cargo xtask guard --planted")]
pub(crate) struct Args {
    /// Make what is counted the baseline.
    #[arg(long, conflicts_with = "planted")]
    refresh: bool,
    /// Build a needless copy in, to see it found.
    #[arg(long)]
    planted: bool,
}

/// The path, and the bytes that go in and come back.
const CASES: [&str; 4] = ["engine-1024", "engine-65536", "host-1024", "host-65536"];
/// Calls of the two runs.
const CALLS: [u64; 2] = [100, 500];

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    setup::valgrind()?;
    let program = build(workspace, args.planted)?;
    let file = workspace.root().join("lattice-tests/guard/baseline.json");
    let mut counted = Vec::new();
    for case in CASES {
        counted.push((case, count(&program, case)?));
    }
    if args.refresh {
        let baseline = Baseline::of(&counted);
        baseline.write(&file)?;
        say(&format!("guard: the baseline is new: {}", file.display()));
        return Ok(());
    }
    let baseline = Baseline::read(&file).context("there is no baseline: cargo xtask guard --refresh")?;
    let mut verdicts = Vec::new();
    for (case, instructions) in counted {
        let verdict = baseline.judge(case, instructions);
        say(&format!("guard: {verdict}"));
        verdicts.push(verdict);
    }
    if verdicts.iter().any(Verdict::is_too_many) {
        bail!("a call costs more instructions than it did; if that is meant: cargo xtask guard --refresh");
    }
    Ok(())
}

fn build(workspace: &Workspace, planted: bool) -> Result<std::path::PathBuf> {
    say("guard: what is counted (some minutes to build the first time)");
    let mut command = cargo(workspace.root());
    command.args(["build", "--release", "--quiet", "--package", "wattle-guard"]);
    if planted {
        command.args(["--features", "planted-copy"]);
    }
    run_command(&mut command)?;
    Ok(workspace.target().join("release/wattle-guard"))
}

/// Returns the instructions of one call.
fn count(program: &Path, case: &str) -> Result<u64> {
    let [few, many] = CALLS.map(|calls| counted(program, case, calls));
    let (few, many) = (few?, many?);
    let more = many.checked_sub(few).context("more calls cost fewer instructions")?;
    Ok(more / (CALLS[1] - CALLS[0]))
}

fn counted(program: &Path, case: &str, calls: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    // Guests' code is made while it runs, so code may change under the counter's eyes.
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--smc-check=all-non-file"]);
    let output = command.arg(program).arg(case).arg(calls.to_string()).output().context("valgrind cannot be run")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let line = told.lines().find_map(|line| line.split_once("Collected :"));
    let instructions = line.and_then(|(_, number)| number.trim().parse().ok());
    match instructions.filter(|_| output.status.success()) {
        Some(instructions) => Ok(instructions),
        None => bail!("{case} under valgrind ended with {}:\n{told}", output.status),
    }
}
