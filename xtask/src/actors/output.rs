//! Finished modules on disk.

use std::fs;

use anyhow::Result;

use super::{keys::Keys, recipe::Recipe};
use crate::{process::say, workspace::Workspace};

/// A module that was written.
#[derive(Debug)]
pub(super) struct Output {
    name: String,
    bytes: usize,
}

/// Writes a module in one step: who reads at the same time sees the old one or the new one.
pub(super) fn put(workspace: &Workspace, recipe: &Recipe, bytes: &[u8]) -> Result<Output> {
    let file = workspace.modules().join(&recipe.name).with_added_extension("wasm");
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    let draft = file.with_added_extension("new");
    fs::write(&draft, bytes)?;
    fs::rename(&draft, &file)?;
    Ok(Output { name: recipe.name.clone(), bytes: bytes.len() })
}

/// Tells what was made: examples each by its size, fixtures by their number.
pub(super) fn tell(workspace: &Workspace, keys: &Keys, outputs: &[Output]) {
    let (fixtures, examples): (Vec<_>, Vec<_>) =
        outputs.iter().partition(|output| output.name.starts_with("fixtures/"));
    say(&format!("actors in {}, issued by {}", workspace.modules().display(), keys.issuer()));
    for output in examples {
        say(&format!("  {:<12} {:>7} bytes", output.name, output.bytes));
    }
    let bytes: usize = fixtures.iter().map(|output| output.bytes).sum();
    say(&format!("  {:<12} {bytes:>7} bytes in {} modules", "fixtures/", fixtures.len()));
}
