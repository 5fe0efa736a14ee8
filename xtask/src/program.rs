//! The `wattle` program, as it is shipped.

use std::{env, path::PathBuf};

use anyhow::{Result, bail};

use crate::{
    process::{cargo, run, say},
    workspace::Workspace,
};

/// Names a program that was built already.
const VARIABLE: &str = "WATTLE_PROGRAM";

/// Builds the program, unless `WATTLE_PROGRAM` names one, and returns where it is.
pub(crate) fn bring(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = env::var_os(VARIABLE).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{VARIABLE} names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    say("the wattle program (some minutes the first time)");
    run(cargo(workspace.root()).args(["build", "--release", "--package", "wattle"]))?;
    Ok(workspace.target().join("release/wattle"))
}
