//! The benchmark's own guests: large ones, and ones that compute.

use std::fs;

use anyhow::{Context, Result};

use crate::{
    process::{cargo, run, say},
    setup,
    workspace::Workspace,
};

/// Name of the module, its crate, and the crate's features.
const GUESTS: [(&str, &str, &str); 4] =
    [("ping", "ping", ""), ("compute", "compute", ""), ("heavy", "heavy", ""), ("heavy-sql", "heavy", "sql")];
/// What `wasmtime serve` is given.
const PEER: (&str, &str, &str) = ("component", "component", "");

/// Builds them into `target/bench-guests`; cargo sees whether anything changed.
pub(super) fn build(workspace: &Workspace, peers: bool) -> Result<()> {
    say("bench: its own guests (some minutes the first time)");
    let folder = workspace.root().join("bench/guests");
    let finished = workspace.root().join("target/bench-guests");
    fs::create_dir_all(&finished)?;
    let toolchain = setup::wasm_toolchain(workspace)?;
    for (name, package, features) in GUESTS.into_iter().chain(peers.then_some(PEER)) {
        let mut command = cargo(&folder);
        command.args(["build", "--quiet", "--release", "--target-dir", "target", "--package", package]);
        command.args(["--features", features]);
        toolchain.configure(&mut command);
        run(&mut command)?;
        let made = folder.join("target/wasm32-unknown-unknown/release").join(package).with_extension("wasm");
        fs::copy(&made, finished.join(name).with_extension("wasm")).with_context(|| made.display().to_string())?;
    }
    Ok(())
}
