//! Room on the disk: without it every test that writes fails, each with words of its own.

use anyhow::{Context, Result, ensure};
use rustix::fs::statvfs;

use crate::workspace::Workspace;

const GIB: f64 = (1 << 30) as f64;
/// What a first build and its tests take, as measured, and a quarter more.
const FIRST_GIB: f64 = 8.0;
/// What later ones begin with at least.
const LATER_GIB: f64 = 1.0;

/// Checks that building and testing can end well.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let place = workspace.target();
    let disk = statvfs(&place).with_context(|| format!("{} has no disk", place.display()))?;
    let free = (disk.f_bavail * disk.f_frsize) as f64 / GIB;
    let needed = if workspace.modules().is_dir() { LATER_GIB } else { FIRST_GIB };
    ensure!(
        free >= needed,
        "{free:.1} GiB are free where {} is, and {needed:.0} GiB are needed: make room, or name a folder on another \
         disk in CARGO_TARGET_DIR",
        place.display()
    );
    Ok(())
}
