//! `ci`: what must hold before a change lands.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{
    process::{cargo, on_path, run as run_command, say},
    setup, test, tidy,
    workspace::Workspace,
};

/// Checks formatting, lints and tidiness, runs every test, and checks dependencies where cargo-deny is installed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask ci\n  cargo xtask ci --fast")]
pub(crate) struct Args {
    /// Leave the tests out.
    #[arg(long)]
    fast: bool,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    say("ci: formatting");
    for dir in [workspace.root(), &workspace.guests()] {
        run_command(cargo(dir).args(["fmt", "--all", "--check"])).context("mend it with: cargo fmt --all")?;
    }
    say("ci: lints");
    run_command(clippy(cargo(workspace.root()).args(["clippy", "--workspace", "--all-targets"])))?;
    run_command(clippy(cargo(&workspace.guests()).args(["clippy", "--all-targets", "--target-dir", "target"])))?;
    let mut guests = cargo(&workspace.guests());
    guests.args(["clippy", "--release", "--target-dir", "target"]);
    let toolchain = setup::wasm_toolchain(workspace)?;
    if toolchain == setup::WasmToolchain::Rustup {
        toolchain.configure(&mut guests);
        run_command(clippy(&mut guests))?;
    }
    tidy::run(workspace, &tidy::Args {})?;
    deny(workspace)?;
    if args.fast { Ok(()) } else { test::run(workspace, &test::Args::everything()) }
}

fn clippy(command: &mut Command) -> &mut Command {
    command.args(["--", "-D", "warnings"])
}

fn deny(workspace: &Workspace) -> Result<()> {
    if on_path("cargo-deny").is_none() {
        say("ci: dependencies not checked: cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(());
    }
    say("ci: dependencies");
    run_command(cargo(workspace.root()).args(["deny", "check"]))
}
