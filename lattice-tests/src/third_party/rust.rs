//! Guests from crates: compiled for wasm, or lying in a crate's source. A provider from crates: compiled for this
//! machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::command::{cargo, read};

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for the web, whose package `rust-web-src` has the standard library to build from.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library";

/// Compiles a project and puts `NAME.wasm` into `target`. All projects share one build folder, and so one standard
/// library.
pub(super) fn build(project: &Path, target: &Path, name: &str) -> Result<()> {
    let build_dir = target.join("build");
    let mut command = cargo(project);
    command.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]).arg(&build_dir);
    if !sysroot()?.join("lib/rustlib").join(TARGET).is_dir() {
        use_system_compiler(&mut command)?;
    }
    read(&mut command)?;
    let made = build_dir.join(TARGET).join("release").join(name.replace('-', "_") + ".wasm");
    fs::copy(&made, target.join(name).with_extension("wasm"))
        .with_context(|| format!("cargo made no {}", made.display()))
        .map(drop)
}

/// Compiles a project for this machine and puts its program at `file`, whose name is the program's.
pub(super) fn build_program(project: &Path, target: &Path, file: &Path) -> Result<()> {
    let build_dir = target.join("build");
    let mut command = cargo(project);
    command.args(["build", "--locked", "--target-dir"]).arg(&build_dir).env_remove("CARGO_BUILD_TARGET");
    read(&mut command)?;
    let made = build_dir.join("debug").join(file.file_name().context("the program has no name")?);
    fs::copy(&made, file).with_context(|| format!("cargo made no {}", made.display())).map(drop)
}

/// Puts the signed files that lie in the source of `wascap` into `target`.
pub(super) fn copy_from_wascap(project: &Path, target: &Path) -> Result<()> {
    let metadata = read(cargo(project).args(["metadata", "--locked", "--format-version", "1"]))?;
    let source = source_of("wascap", &metadata).context("cargo metadata names no wascap")?;
    for (from, to) in [
        ("fixtures/logger.wasm", "wascap-logger.wasm"),
        ("examples/signed_loop.wasm", "wascap-signed-loop.wasm"),
        ("fixtures/guest.component.wasm", "wascap-component.wasm"),
    ] {
        fs::copy(source.join(from), target.join(to)).with_context(|| from.to_owned())?;
    }
    Ok(())
}

fn source_of(package: &str, metadata: &str) -> Option<PathBuf> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let packages = metadata.get("packages")?.as_array()?;
    let found = packages.iter().find(|one| one.get("name").and_then(|name| name.as_str()) == Some(package))?;
    Path::new(found.get("manifest_path")?.as_str()?).parent().map(Path::to_owned)
}

/// Makes cargo use Debian's compiler, build the standard library, and link with the toolchain's own `rust-lld`.
fn use_system_compiler(command: &mut Command) -> Result<()> {
    if !Path::new(SYSTEM_RUSTC).is_file() || !Path::new(SYSTEM_LIBRARY).is_dir() {
        anyhow::bail!("no compiler for {TARGET}: run `cargo xtask setup`");
    }
    command.arg("-Zbuild-std=std,panic_abort");
    command.envs([("RUSTC", SYSTEM_RUSTC), ("RUSTC_BOOTSTRAP", "1")]);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
    Ok(())
}

/// Finds `rust-lld`, which every rustup toolchain carries below its host's name.
fn linker() -> Result<PathBuf> {
    let hosts = sysroot()?.join("lib/rustlib");
    let mut linkers = fs::read_dir(&hosts)?.flatten().map(|host| host.path().join("bin/rust-lld"));
    linkers.find(|linker| linker.is_file()).with_context(|| format!("no rust-lld below {}", hosts.display()))
}

fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(read(Command::new("rustc").args(["--print", "sysroot"]))?.trim()))
}
