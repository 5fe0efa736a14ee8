//! Guests from npm: two lie in a package as they are, one is compiled by a package.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::command::read;

/// Where the packages are put: beside the guests, not in the project.
const WORK_DIR: &str = "npm-work";

/// Installs the packages of the lock file, compiles, and puts all three guests into `target`.
pub(super) fn build(project: &Path, target: &Path) -> Result<()> {
    let work = target.join(WORK_DIR);
    fs::create_dir_all(work.join("assembly"))?;
    for file in ["package.json", "package-lock.json", "assembly/index.ts"] {
        fs::copy(project.join(file), work.join(file)).with_context(|| file.to_owned())?;
    }
    npm(&work, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])?;
    npm(&work, &["run", "--silent", "build", "--", "--outFile", "../assemblyscript.wasm"])?;
    let fixtures = work.join("node_modules/@wapc/host/test/fixtures");
    for (from, to) in [("rust_echo_string.wasm", "wapc-host-echo.wasm"), ("rust_host_call.wasm", "wapc-host-call.wasm")]
    {
        fs::copy(fixtures.join(from), target.join(to)).with_context(|| from.to_owned())?;
    }
    Ok(())
}

fn npm(dir: &Path, args: &[&str]) -> Result<()> {
    read(Command::new("npm").current_dir(dir).args(args))
        .context("guests from npm need node and npm, as in Debian's packages nodejs and npm")
        .map(drop)
}
