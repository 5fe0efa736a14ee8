//! Programs of others that the benchmark is told to measure.

use anyhow::Result;

use crate::{
    process::{cargo, run, say},
    workspace::Workspace,
};

/// The version that has our wasmtime's engine.
const WASMTIME: &str = "wasmtime-cli@48.0.8";
/// What `wasmtime serve` needs to be as fast as it can be.
const FEATURES: &str = "run,serve,component-model-async,cranelift,parallel-compilation,pooling-allocator,cache,threads";

/// Builds them from their published crates into `target/xtask/peers`; what is there already is left alone.
pub(super) fn build(workspace: &Workspace) -> Result<()> {
    let folder = workspace.state().join("peers");
    if folder.join("bin/wasmtime").is_file() {
        return Ok(());
    }
    say("bench: wasmtime, from its published crate (many minutes)");
    let mut command = cargo(workspace.root());
    command.args(["install", "--quiet", "--locked", "--no-default-features", "--features", FEATURES, "--root"]);
    command.arg(&folder).arg(WASMTIME).env_remove("CARGO_TARGET_DIR");
    run(&mut command)
}
