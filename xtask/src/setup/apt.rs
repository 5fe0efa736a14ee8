//! Debian packages, where this user may install them without being asked for a password.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{on_path, read, run, say};

/// Installs packages, or says how a person would.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = || format!("install it yourself: apt-get install {}", packages.join(" "));
    if on_path("apt-get").is_none() {
        bail!("this platform has no apt-get: bring {} by its own means", packages.join(" "));
    }
    say(&format!("installing {} with apt-get", packages.join(" ")));
    run(apt()?.arg("update").arg("-qq")).with_context(by_hand)?;
    run(apt()?.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages)).with_context(by_hand)
}

/// Returns `apt-get` with the rights to install, silent and without questions.
fn apt() -> Result<Command> {
    let root = read(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    let mut command = if root { Command::new("apt-get") } else { sudo()? };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn sudo() -> Result<Command> {
    read(Command::new("sudo").args(["-n", "true"])).context("installing needs root, and sudo would ask a password")?;
    let mut command = Command::new("sudo");
    command.args(["-n", "apt-get"]);
    Ok(command)
}
