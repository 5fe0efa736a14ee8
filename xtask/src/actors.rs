//! `build-actors`: compiles and signs the examples and the fixtures.
//!
//! A guest in Rust tells in its `Cargo.toml` which modules are made of it, a fixture in WAT in its first lines: see
//! [`recipe`]. Tests find what is made here as `$WATTLE_ACTORS_DIR/NAME.wasm`, or `target/actors/NAME.wasm`, and the
//! account all of it is signed by in `issuer.pub` beside.

mod compile;
mod keys;
mod output;
mod recipe;
mod stamp;

use std::fs::{self, File};

use anyhow::{Context, Result};

use crate::{process::say, setup, workspace::Workspace};

use keys::Keys;
use output::Output;
use recipe::Recipe;
use stamp::Stamp;

/// Compiles and signs the example actors and the fixtures of the tests, into target/actors.
///
/// Signing keys for development are made once and kept in target/xtask/keys. Nothing is done when nothing changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask build-actors\n  cargo xtask build-actors --force\n\n\
                        Then:\n  wattle claims inspect target/actors/hello.wasm")]
pub(crate) struct Args {
    /// Build and sign even if nothing changed.
    #[arg(long)]
    force: bool,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.force {
        Stamp::forget(workspace)?;
    }
    build(workspace)
}

/// Brings every module up to date. Whoever builds anything begins with this.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    setup::disk(workspace)?;
    fs::create_dir_all(workspace.state())?;
    fs::create_dir_all(workspace.modules())?;
    let lock = File::create(workspace.state().join("actors.lock"))?;
    lock.lock().context("another build-actors cannot be waited for")?;

    let toolchain = setup::wasm_toolchain(workspace)?;
    let keys = Keys::open(workspace)?;
    let recipes = recipe::all(workspace)?;
    let stamp = Stamp::of(workspace, &toolchain, &keys, &recipes)?;
    if stamp.is_current(workspace) {
        say(&format!("actors: {} modules are up to date in {}", recipes.len(), workspace.modules().display()));
        return Ok(());
    }
    let mut outputs = Vec::with_capacity(recipes.len());
    for recipe in &recipes {
        outputs.push(make(workspace, &toolchain, &keys, recipe).with_context(|| format!("actor {}", recipe.name))?);
    }
    fs::write(workspace.modules().join("issuer.pub"), format!("{}\n", keys.issuer()))?;
    stamp.write(workspace)?;
    output::tell(workspace, &keys, &outputs);
    Ok(())
}

fn make(workspace: &Workspace, toolchain: &setup::WasmToolchain, keys: &Keys, recipe: &Recipe) -> Result<Output> {
    let unsigned = compile::compile(workspace, toolchain, recipe)?;
    let signed = keys.sign(recipe, &unsigned)?;
    output::put(workspace, recipe, &signed)
}
