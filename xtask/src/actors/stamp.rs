//! What the modules on disk were made of, so that nothing is made twice.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{keys::Keys, recipe::Recipe};
use crate::{setup::WasmToolchain, workspace::Workspace};

/// A digest of every input, and the files it led to.
///
/// A collision or another compiler's hash costs a needless or a missing rebuild of test modules, not more.
#[derive(Debug)]
pub(super) struct Stamp {
    inputs: u64,
    outputs: Vec<PathBuf>,
}

impl Stamp {
    /// Takes the stamp of the inputs as they are now.
    pub(super) fn of(
        workspace: &Workspace,
        toolchain: &WasmToolchain,
        keys: &Keys,
        recipes: &[Recipe],
    ) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        toolchain.to_string().hash(&mut hasher);
        keys.issuer().to_string().hash(&mut hasher);
        [include_str!("keys.rs"), include_str!("recipe.rs")].hash(&mut hasher);
        add_folder(&workspace.guests(), &mut hasher)?;
        fs::read(workspace.root().join("rust-toolchain.toml")).ok().hash(&mut hasher);
        let outputs =
            recipes.iter().map(|recipe| workspace.modules().join(&recipe.name).with_added_extension("wasm")).collect();
        Ok(Self { inputs: hasher.finish(), outputs })
    }

    /// Returns whether the modules on disk were made of these inputs.
    pub(super) fn is_current(&self, workspace: &Workspace) -> bool {
        fs::read_to_string(file(workspace)).is_ok_and(|text| text == self.text())
            && self.outputs.iter().all(|output| output.is_file())
    }

    /// Notes that the modules on disk are made of these inputs.
    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        Ok(fs::write(file(workspace), self.text())?)
    }

    /// Makes the next build a whole one.
    pub(super) fn forget(workspace: &Workspace) -> Result<()> {
        match fs::remove_file(file(workspace)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn text(&self) -> String {
        format!("{:016x}\n", self.inputs)
    }
}

/// Beside the modules: who deletes them deletes it too.
fn file(workspace: &Workspace) -> PathBuf {
    workspace.modules().join("inputs.stamp")
}

/// Adds names and contents of all files below `dir`, in the order of their names, without what cargo builds.
fn add_folder(dir: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let read = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let mut paths: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                add_folder(&path, hasher)?;
            }
        } else {
            path.hash(hasher);
            fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?.hash(hasher);
        }
    }
    Ok(())
}
