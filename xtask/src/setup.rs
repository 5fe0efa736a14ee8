//! `setup`: finds what building and testing needs besides cargo, or brings it.

mod apt;
mod disk;
mod server;
mod wasm;

use std::path::PathBuf;

use anyhow::{Result, bail};

pub(crate) use wasm::WasmToolchain;

use crate::{process::say, workspace::Workspace};

/// Finds or brings a compiler for wasm, a nats-server, a redis-server and npm, and says what it did.
///
/// Nothing is installed that is there already. What can be had without root goes to target/xtask, programs to
/// target/xtask/bin; the rest is installed with apt-get, as root or by `sudo -n`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask setup\n  WATTLE_NATS_SERVER=~/bin/nats-server cargo xtask setup")]
pub(crate) struct Args {
    /// Choose the compiler for wasm instead of finding it out.
    #[arg(long, value_enum)]
    wasm: Option<wasm::Choice>,
}

/// What tests need besides cargo.
#[derive(Debug)]
pub(crate) struct Servers {
    /// A nats-server with JetStream.
    pub(crate) nats: PathBuf,
    /// A redis-server.
    pub(crate) redis: PathBuf,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut missing = Vec::new();
    let mut note = |result: Result<String>| match result {
        Ok(found) => say(&found),
        Err(error) => missing.push(format!("{error:#}")),
    };
    note(wasm::bring(workspace, args.wasm).map(|found| format!("wasm compiler: {found}")));
    note(server::nats(workspace).map(|path| format!("nats-server:   {}", path.display())));
    note(server::redis().map(|path| format!("redis-server:  {}", path.display())));
    note(server::npm().map(|path| format!("npm:           {}", path.display())));
    if !missing.is_empty() {
        bail!("not everything is here:\n- {}", missing.join("\n- "));
    }
    Ok(())
}

/// Checks that there is room to build and test.
pub(crate) fn disk(workspace: &Workspace) -> Result<()> {
    disk::check(workspace)
}

/// Finds or brings a compiler for wasm.
pub(crate) fn wasm_toolchain(workspace: &Workspace) -> Result<WasmToolchain> {
    wasm::bring(workspace, None)
}

/// Finds or brings a nats-server.
pub(crate) fn nats(workspace: &Workspace) -> Result<PathBuf> {
    server::nats(workspace)
}

/// Finds or brings npm.
pub(crate) fn npm() -> Result<PathBuf> {
    server::npm()
}

/// Finds or brings valgrind.
pub(crate) fn valgrind() -> Result<PathBuf> {
    server::valgrind()
}

/// Finds or brings the servers.
pub(crate) fn servers(workspace: &Workspace) -> Result<Servers> {
    Ok(Servers { nats: server::nats(workspace)?, redis: server::redis()? })
}
