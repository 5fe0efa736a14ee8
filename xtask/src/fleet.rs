//! A fleet: several `wattle` processes that share a nats-server, each with its own run directory, all on this machine.
//!
//! Everything is started here, known by its handle, and ended with the fleet; `wattle` commands are run as a user would
//! run them.

mod beats;
mod nats;
mod process;
mod wire;

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub(crate) use beats::Beats;
pub(crate) use nats::Nats;
pub(crate) use process::{Process, end_leftover};
pub(crate) use wire::Wire;

use crate::{
    process::{say, without_settings},
    workspace::Workspace,
};

/// How long a host may take to be there, and how long to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is started.
#[derive(Debug)]
pub(crate) struct Fleet {
    wattle: PathBuf,
    folder: PathBuf,
    modules: PathBuf,
    issuer: String,
    /// Where hosts and commands find NATS.
    url: String,
    hosts: BTreeMap<String, Process>,
    redis: Option<Process>,
    /// Whether commands are told.
    pub(crate) is_quiet: bool,
}

/// What a command that was refused says.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Fleet {
    /// Prepares a fleet in a folder: no host runs yet.
    pub(crate) fn prepare(workspace: &Workspace, wattle: &Path, folder: &Path, url: &str) -> Result<Self> {
        let modules = workspace.modules();
        let issuer = fs::read_to_string(modules.join("issuer.pub"))?.trim().to_owned();
        Ok(Self {
            wattle: wattle.to_owned(),
            folder: folder.to_owned(),
            modules,
            issuer,
            url: url.to_owned(),
            hosts: BTreeMap::new(),
            redis: None,
            is_quiet: false,
        })
    }

    /// Starts a host and waits until it has joined the lattice.
    pub(crate) fn start_host(&mut self, name: &str, labels: &[&str]) -> Result<()> {
        let url = self.url.clone();
        self.start_host_at(name, labels, &url)
    }

    /// Starts a host that joins the lattice at another NATS than the rest.
    pub(crate) fn start_host_at(&mut self, name: &str, labels: &[&str], url: &str) -> Result<()> {
        let up = self.command(name);
        self.start_by(up, name, labels, url)
    }

    /// Starts a host at a leaf node, whose lattice's state is in another JetStream domain.
    pub(crate) fn start_host_behind(&mut self, name: &str, labels: &[&str], url: &str, domain: &str) -> Result<()> {
        let mut up = self.command(name);
        up.env("WATTLE_JS_DOMAIN", domain);
        self.start_by(up, name, labels, url)
    }

    /// Starts a host in a network namespace.
    pub(crate) fn start_host_in(&mut self, namespace: &str, name: &str, labels: &[&str], url: &str) -> Result<()> {
        let mut up = self.surroundings(Command::new("ip"), name);
        // It becomes the program it is told to run: the handle is the host's.
        up.args(["netns", "exec", namespace]).arg(&self.wattle);
        self.start_by(up, name, labels, url)
    }

    fn start_by(&mut self, mut up: Command, name: &str, labels: &[&str], url: &str) -> Result<()> {
        let run_dir = self.run_dir(name);
        drop(fs::remove_file(run_dir.join("host.json")));
        up.args(["up", "--name", name, "--trust", &self.issuer, "--nats-url", url, "--cache-dir"]);
        up.arg(self.folder.join("cache"));
        for label in labels {
            up.args(["--label", label]);
        }
        let mut process = Process::start(&mut up, &self.folder, name)?;
        let begun = Instant::now();
        while !has_state_of(&run_dir, process.id()) {
            if let Some(status) = process.ended()? {
                bail!("host {name} ended with {status}:\n{}", self.log_of(name));
            }
            if begun.elapsed() > PATIENCE {
                bail!("host {name} does not come up:\n{}", self.log_of(name));
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        self.hosts.insert(name.to_owned(), process);
        Ok(())
    }

    /// Returns a running host.
    pub(crate) fn host(&mut self, name: &str) -> Result<&mut Process> {
        self.hosts.get_mut(name).with_context(|| format!("no host {name} runs"))
    }

    /// Returns every process there is.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.hosts.values()
    }

    /// Kills a host: no word to anybody.
    pub(crate) fn kill_host(&mut self, name: &str) -> Result<()> {
        self.hosts.remove(name).with_context(|| format!("no host {name} runs"))?.kill()
    }

    /// Waits for a host that was told to end.
    pub(crate) fn await_end(&mut self, name: &str) -> Result<()> {
        self.hosts.remove(name).with_context(|| format!("no host {name} runs"))?.wait(PATIENCE)
    }

    /// Starts a redis-server and returns its URL.
    pub(crate) fn start_redis(&mut self, program: &Path) -> Result<String> {
        let port = free_port()?.to_string();
        let mut command = Command::new(program);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        self.redis = Some(Process::start(&mut command, &self.folder, "redis")?);
        let begun = Instant::now();
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!("redis-server does not come up");
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(format!("redis://127.0.0.1:{port}"))
    }

    /// Runs a command of the `wattle` program and returns what it answers.
    pub(crate) fn wattle(&self, words: &[&str]) -> Result<Value> {
        match self.try_wattle(words)? {
            Ok(answer) => Ok(answer),
            Err(refused) => bail!("`wattle {}`: {}: {}", words.join(" "), refused.code, refused.message),
        }
    }

    /// Runs a command that may be refused.
    pub(crate) fn try_wattle(&self, words: &[&str]) -> Result<Result<Value, Refused>> {
        if !self.is_quiet {
            say(&format!("  $ wattle {}", words.join(" ")));
        }
        let mut command = self.command("cli");
        command.env("WATTLE_NATS_URL", &self.url).args(words).args(["-o", "json"]).stdin(Stdio::null());
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let answer: Value = serde_json::from_str(text.trim()).with_context(|| {
            format!("`wattle {}` answers {text:?} {}", words.join(" "), String::from_utf8_lossy(&output.stderr))
        })?;
        if output.status.success() {
            return Ok(Ok(answer));
        }
        let field = |name: &str| {
            let field = answer.pointer(&format!("/error/{name}")).and_then(Value::as_str);
            field.unwrap_or_default().to_owned()
        };
        Ok(Err(Refused { code: field("code"), message: field("message") }))
    }

    /// Returns the path of a built module.
    pub(crate) fn module(&self, name: &str) -> String {
        self.modules.join(name).display().to_string()
    }

    /// Returns the fleet's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the last lines of a host's log.
    pub(crate) fn log_of(&self, name: &str) -> String {
        let log = fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.len().saturating_sub(20);
        format!("the log of {name} ends with:\n{}", lines.get(last..).unwrap_or_default().join("\n"))
    }

    /// Returns a command that is run as a user would run it, and as `wattle` is to be called by hand.
    pub(crate) fn by_hand(&self) -> String {
        format!(
            "WATTLE_NATS_URL={} WATTLE_KEYS_DIR={} {}",
            self.url,
            self.folder.join("keys").display(),
            self.wattle.display()
        )
    }

    /// Lets everything live on after us.
    pub(crate) fn leave(&mut self) {
        self.hosts.values_mut().chain(&mut self.redis).for_each(Process::leave);
    }

    /// Asks every host to end, all at once, and waits for them.
    pub(crate) fn end(&mut self) -> Result<()> {
        for host in self.hosts.values() {
            host.signal("TERM")?;
        }
        for (_, mut host) in std::mem::take(&mut self.hosts) {
            host.wait(PATIENCE)?;
        }
        Ok(())
    }

    fn command(&self, name: &str) -> Command {
        self.surroundings(Command::new(&self.wattle), name)
    }

    /// Gives a command the directories of a host, and nothing of ours.
    fn surroundings(&self, command: Command, name: &str) -> Command {
        let mut command = without_settings(command);
        command.env("WATTLE_RUN_DIR", self.run_dir(name)).env("WATTLE_KEYS_DIR", self.folder.join("keys"));
        command
    }

    fn run_dir(&self, name: &str) -> PathBuf {
        self.folder.join("run").join(name)
    }
}

/// Whether the host that is this process has told that it is up.
fn has_state_of(run_dir: &Path, id: u32) -> bool {
    let state = fs::read(run_dir.join("host.json")).unwrap_or_default();
    serde_json::from_slice(&state).is_ok_and(|state: Value| state.get("pid").and_then(Value::as_u64) == Some(id.into()))
}

/// Returns a folder for a fleet, empty, after ending what an earlier run left there.
pub(crate) fn fresh_folder(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.root().join("target").join(name);
    end_leftover(&folder)?;
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Returns an address on loopback at which nobody listens.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

/// Returns a port on loopback at which nobody listens.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
