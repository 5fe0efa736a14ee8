//! From a source to an unsigned module.

use std::fs;

use anyhow::{Context, Result};

use super::recipe::{Recipe, Source};
use crate::{
    process::{cargo, run},
    setup::WasmToolchain,
    workspace::Workspace,
};

/// Compiles one module and returns its bytes.
pub(super) fn compile(workspace: &Workspace, toolchain: &WasmToolchain, recipe: &Recipe) -> Result<Vec<u8>> {
    match &recipe.source {
        Source::Crate { package, features } => compile_crate(workspace, toolchain, package, features),
        Source::Wat(file) => wat::parse_file(file).map_err(Into::into),
    }
}

fn compile_crate(
    workspace: &Workspace,
    toolchain: &WasmToolchain,
    package: &str,
    features: &[String],
) -> Result<Vec<u8>> {
    let guests = workspace.guests();
    let mut command = cargo(&guests);
    // The target folder is named, because the environment may name another one for the host's crates.
    command.args(["build", "--quiet", "--release", "--target-dir", "target", "--package", package]);
    if !features.is_empty() {
        command.arg("--features").arg(features.join(","));
    }
    toolchain.configure(&mut command);
    run(&mut command)?;
    let file = guests.join("target/wasm32-unknown-unknown/release").join(package.replace('-', "_") + ".wasm");
    fs::read(&file).with_context(|| format!("cargo made no {}", file.display()))
}
