//! A compiler for wasm32-unknown-unknown: rustup's, or Debian's with the standard library built on the spot.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::{
    process::{read, run, say},
    workspace::Workspace,
};

/// The target guests are built for.
const TARGET: &str = "wasm32-unknown-unknown";
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library";

/// Whose compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// The rustup toolchain in use, with its wasm target.
    Rustup,
    /// Debian's packages rustc-web and rust-web-src.
    Debian,
}

/// How cargo gets to build for wasm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WasmToolchain {
    /// The toolchain in use has the target.
    Rustup,
    /// Debian's compiler builds the standard library from source and links with the linker of the toolchain in use.
    Debian {
        /// The `rust-lld` of the toolchain in use.
        linker: PathBuf,
    },
}

impl WasmToolchain {
    /// Makes a `cargo build` (or test, or clippy) build for wasm. Flags meant for this machine are left out.
    pub(crate) fn configure(&self, cargo: &mut Command) {
        cargo.args(["--target", TARGET]).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        if let Self::Debian { linker } = self {
            cargo.arg("-Zbuild-std=std,panic_abort");
            cargo.envs([("RUSTC", SYSTEM_RUSTC), ("RUSTC_BOOTSTRAP", "1")]);
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }

    fn choice(&self) -> Choice {
        match self {
            Self::Rustup => Choice::Rustup,
            Self::Debian { .. } => Choice::Debian,
        }
    }
}

impl fmt::Display for WasmToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rustup => write!(f, "the rustup toolchain's target {TARGET}"),
            Self::Debian { linker } => write!(f, "{SYSTEM_RUSTC}, its own library sources, {}", linker.display()),
        }
    }
}

/// Finds or brings a compiler, by `choice` or the one found last time, and remembers it.
pub(super) fn bring(workspace: &Workspace, choice: Option<Choice>) -> Result<WasmToolchain> {
    let memory = workspace.state().join("wasm-toolchain");
    let toolchain = match choice.or_else(|| remembered(&memory)) {
        Some(Choice::Rustup) => rustup(workspace)?,
        Some(Choice::Debian) => debian(workspace)?,
        None => rustup(workspace).or_else(|error| {
            say(&format!("no wasm target from rustup ({error:#}): trying Debian's compiler"));
            debian(workspace)
        })?,
    };
    fs::create_dir_all(workspace.state())?;
    fs::write(&memory, if toolchain.choice() == Choice::Rustup { "rustup" } else { "debian" })?;
    Ok(toolchain)
}

/// Only the second choice is worth remembering: it spares asking rustup again for what it does not have.
fn remembered(memory: &Path) -> Option<Choice> {
    (fs::read_to_string(memory).ok()?.trim() == "debian").then_some(Choice::Debian)
}

fn rustup(workspace: &Workspace) -> Result<WasmToolchain> {
    let library = sysroot(workspace)?.join("lib/rustlib").join(TARGET).join("lib");
    if !library.is_dir() {
        say(&format!("adding the target {TARGET} with rustup"));
        run(Command::new("rustup").current_dir(workspace.root()).args(["target", "add", TARGET]))
            .with_context(|| format!("add the target yourself: rustup target add {TARGET}"))?;
    }
    if !library.is_dir() {
        bail!("the toolchain in use has no target {TARGET}, though rustup says it was added");
    }
    Ok(WasmToolchain::Rustup)
}

fn debian(workspace: &Workspace) -> Result<WasmToolchain> {
    let present = || Path::new(SYSTEM_RUSTC).is_file() && Path::new(SYSTEM_LIBRARY).is_dir();
    if !present() {
        apt::install(&["rustc-web", "rust-web-src"])?;
    }
    if !present() {
        bail!("{SYSTEM_RUSTC} or {SYSTEM_LIBRARY} is missing after installing rustc-web and rust-web-src");
    }
    Ok(WasmToolchain::Debian { linker: linker(workspace)? })
}

/// Finds `rust-lld`, which every rustup toolchain carries below its host's name.
fn linker(workspace: &Workspace) -> Result<PathBuf> {
    let hosts = sysroot(workspace)?.join("lib/rustlib");
    let found = fs::read_dir(&hosts)
        .with_context(|| format!("{} cannot be read", hosts.display()))?
        .flatten()
        .map(|host| host.path().join("bin/rust-lld"))
        .find(|linker| linker.is_file());
    found.with_context(|| format!("no rust-lld below {}", hosts.display()))
}

/// Returns the folder of the toolchain in use, which rustup chooses by the folder it is asked from.
fn sysroot(workspace: &Workspace) -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    read(Command::new(rustc).current_dir(workspace.root()).args(["--print", "sysroot"])).map(PathBuf::from)
}
