//! Remembers what a project was last built from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A digest of a project's files, and where the digest of the last build lies.
pub(super) struct Stamp {
    file: PathBuf,
    digest: String,
}

impl Stamp {
    /// Digests a project. `beside` is the stamp's own path, without an extension.
    pub(super) fn of(project: &Path, beside: &Path) -> Result<Self> {
        let mut hasher = Sha256::new();
        digest_folder(project, &mut hasher).with_context(|| format!("{} cannot be read", project.display()))?;
        let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { file: beside.with_extension("stamp"), digest })
    }

    /// Tells whether the last build was of these files.
    pub(super) fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|last| last == self.digest)
    }

    /// Remembers this build.
    pub(super) fn write(&self) -> Result<()> {
        fs::write(&self.file, &self.digest).with_context(|| self.file.display().to_string())
    }
}

/// Adds every file's name and content in the order of names. What clients put there is left out.
fn digest_folder(folder: &Path, hasher: &mut Sha256) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name == "target" || name == "node_modules" {
            continue;
        }
        hasher.update(name.as_encoded_bytes());
        if entry.file_type()?.is_dir() {
            digest_folder(&path, hasher)?;
        } else {
            let content = fs::read(&path)?;
            hasher.update((content.len() as u64).to_le_bytes());
            hasher.update(content);
        }
    }
    Ok(())
}
