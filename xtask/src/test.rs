//! `test`: everything a change must pass, on a machine that may be bare.

use std::{env, ffi::OsString, path::Path};

use anyhow::{Context, Result};

use crate::{
    actors,
    process::{cargo, run as run_command, say},
    setup,
    workspace::Workspace,
};

/// Brings what is missing, builds the actors, and runs every test.
///
/// What needs a release build is apart: `cargo xtask live`, `cargo xtask soak` and `cargo xtask demo`.
///
/// Tests find the signed modules in WATTLE_ACTORS_DIR (target/actors) and the servers on PATH, which this task sets.
/// Words after `--` go to `cargo test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -- -p wattle-host\n  \
                        cargo xtask test -- -p wattle-runtime recursion")]
pub(crate) struct Args {
    /// What else to tell `cargo test`; a package named here replaces the whole workspace.
    #[arg(last = true)]
    cargo: Vec<String>,
}

impl Args {
    /// Returns the arguments that leave nothing out.
    pub(crate) const fn everything() -> Self {
        Self { cargo: Vec::new() }
    }
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    say("test: what is needed");
    let servers = setup::servers(workspace)?;
    setup::npm()?;
    actors::build(workspace)?;
    let mut host = cargo(workspace.root());
    host.arg("test").args(scope(&args.cargo)).args(&args.cargo);
    host.env("WATTLE_ACTORS_DIR", workspace.modules());
    host.env("PATH", path_with(&servers)?);
    say("test: the workspace");
    run_command(&mut host).context("tests failed")?;
    if args.cargo.is_empty() {
        say("test: the guests, natively");
        run_command(cargo(&workspace.guests()).args(["test", "--target-dir", "target"])).context("tests failed")?;
    }
    say("test: all passed");
    Ok(())
}

/// Puts the servers' folders after all others: they may hold compilers too, which must not be found before ours.
fn path_with(servers: &setup::Servers) -> Result<OsString> {
    let found = [&servers.nats, &servers.redis].into_iter().filter_map(|server| server.parent()).map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(env::split_paths(&path).chain(found))?)
}

fn scope(words: &[String]) -> &'static [&'static str] {
    let named = words.iter().any(|word| word.starts_with("-p") || word.starts_with("--package"));
    if named { &[] } else { &["--workspace", "--no-fail-fast"] }
}
