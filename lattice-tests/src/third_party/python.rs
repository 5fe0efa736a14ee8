//! Packages from PyPI.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::command::read;

/// Name of their folder.
pub(super) const FOLDER: &str = "python";

/// Installs what `project/requirements.txt` names into `target`, in place of what was there.
pub(super) fn install(project: &Path, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]).arg(target);
    read(pip.arg("--requirement").arg(project.join("requirements.txt")))
        .context("packages from PyPI need python3 with pip, as in Debian's package python3-pip")
        .map(drop)
}
