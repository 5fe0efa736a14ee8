//! The host the story is told on: started here, commanded by the `wattle` program as a user would.

use std::{
    cell::Cell,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    process::{read, say, without_settings},
    workspace::Workspace,
};

/// A running host with its own nats-server. Ended when dropped, unless left.
pub(super) struct Stage {
    wattle: PathBuf,
    folder: PathBuf,
    modules: PathBuf,
    /// Where the story's HTTP server listens.
    pub(super) http: SocketAddr,
    left: Cell<bool>,
}

impl Stage {
    /// Starts the host.
    pub(super) fn set(workspace: &Workspace, nats: &Path) -> Result<Self> {
        let folder = workspace.root().join("target/demo");
        let nats_port = free_port()?;
        let stage = Self {
            wattle: workspace.target().join("release/wattle"),
            modules: workspace.modules(),
            http: SocketAddr::from(([127, 0, 0, 1], free_port()?)),
            folder,
            left: Cell::new(false),
        };
        // A host that an earlier demo left running is ended first.
        stage.down();
        drop(fs::remove_dir_all(&stage.folder));
        fs::create_dir_all(&stage.folder)?;
        let issuer = fs::read_to_string(stage.modules.join("issuer.pub"))?;
        let mut up = stage.command();
        up.args(["up", "--detached", "--trust", issuer.trim()]);
        up.args(["--nats-port", &nats_port.to_string(), "--cache-dir"]).arg(stage.path("cache"));
        up.env("WATTLE_NATS_SERVER", nats);
        read(&mut up).context("the host does not start")?;
        say(&format!("demo: a host is up, with NATS at 127.0.0.1:{nats_port}"));
        Ok(stage)
    }

    /// Runs a command of the `wattle` program and returns what it answers.
    pub(super) fn wattle(&self, words: &[&str]) -> Result<Value> {
        say(&format!("  $ wattle {}", words.join(" ")));
        let answer = read(self.command().args(words).args(["-o", "json"]))?;
        serde_json::from_str(&answer).with_context(|| format!("not JSON: {answer}"))
    }

    /// Runs a command that must be refused, and returns what the program says.
    pub(super) fn refused(&self, words: &[&str]) -> Result<String> {
        say(&format!("  $ wattle {}", words.join(" ")));
        let output = self.command().args(words).stdin(Stdio::null()).output()?;
        if output.status.success() {
            bail!("`wattle {}` should have been refused", words.join(" "));
        }
        Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Returns the path of a built module.
    pub(super) fn module(&self, name: &str) -> String {
        self.modules.join(name).display().to_string()
    }

    /// Returns a path in the demo's own folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Leaves the host running and says what to try.
    pub(super) fn leave(&self) {
        self.left.set(true);
        let wattle = self.wattle.display();
        say(&format!(
            "\nThe host is still running. Try:\n\
             \x20 export WATTLE_RUN_DIR={run}\n\
             \x20 curl -X POST http://{http}/counter/mine\n\
             \x20 {wattle} get inventory\n\
             \x20 {wattle} spy\n\
             \x20 {wattle} update actor counter {v2} --force\n\
             \x20 {wattle} stop provider store2      (then curl again)\n\
             End it with:\n\
             \x20 {wattle} down",
            http = self.http,
            v2 = self.module("counter-v2.wasm"),
            run = self.run_dir().display(),
        ));
    }

    /// Shows the end of the host's log.
    pub(super) fn show_log(&self) {
        let log = fs::read_to_string(self.run_dir().join("host.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.len().saturating_sub(30);
        say(&format!("the host's log ends with:\n{}", lines.get(last..).unwrap_or_default().join("\n")));
    }

    fn command(&self) -> Command {
        let mut command = without_settings(Command::new(&self.wattle));
        command.env("WATTLE_RUN_DIR", self.run_dir()).env("WATTLE_KEYS_DIR", self.folder.join("keys"));
        command
    }

    fn run_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn down(&self) {
        if self.run_dir().exists() {
            drop(read(self.command().arg("down")));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.left.get() {
            self.down();
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
