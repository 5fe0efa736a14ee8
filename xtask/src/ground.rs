//! What live checks and the soak stand on: a nats-server, hosts, and the counter actor with its store.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    fleet::{Beats, Fleet, Nats, free_address, fresh_folder},
    load::Summary,
    probe, setup,
    workspace::Workspace,
};

/// How long a change of the lattice may take to be seen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const KEYVALUE: &str = "wasmcloud:keyvalue";
const HTTP: &str = "wasmcloud:httpserver";

/// What every check is given.
pub(crate) struct Ground<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) wattle: &'a Path,
    pub(crate) servers: &'a setup::Servers,
    /// Where its files go, below `target`.
    pub(crate) folder: &'a str,
}

/// A nats-server and the hosts on it.
pub(crate) struct Lattice {
    pub(crate) fleet: Fleet,
    pub(crate) nats: Nats,
    pub(crate) beats: Beats,
}

impl Ground<'_> {
    /// Starts a nats-server; no host runs yet. `words` are further arguments of the server.
    pub(crate) fn lattice(&self, words: Vec<String>) -> Result<Lattice> {
        self.lattice_in(&self.folder()?, words)
    }

    /// The same in a folder that was prepared.
    pub(crate) fn lattice_in(&self, folder: &Path, words: Vec<String>) -> Result<Lattice> {
        let mut nats = Nats::new(&self.servers.nats, folder, "nats", words)?;
        nats.start()?;
        let fleet = self.fleet(folder, &nats.url())?;
        let beats = Beats::listen(nats.port)?;
        Ok(Lattice { fleet, nats, beats })
    }

    /// Returns its folder, empty.
    pub(crate) fn folder(&self) -> Result<std::path::PathBuf> {
        fresh_folder(self.workspace, self.folder)
    }

    /// Prepares hosts at this NATS.
    pub(crate) fn fleet(&self, folder: &Path, url: &str) -> Result<Fleet> {
        let mut fleet = Fleet::prepare(self.workspace, self.wattle, folder, url)?;
        fleet.is_quiet = true;
        Ok(fleet)
    }
}

impl Lattice {
    /// Starts a host and waits until it is heard.
    pub(crate) fn host(&mut self, name: &str, labels: &[&str]) -> Result<()> {
        self.fleet.start_host(name, labels)?;
        self.beats
            .wait(&format!("{name} is there"), PATIENCE, |beats| beats.hosts().iter().any(|host| host == name))?;
        Ok(())
    }

    /// Starts an HTTP server on a host that serves the counter, and returns where.
    pub(crate) fn web(&self, host: &str, actor: &str) -> Result<SocketAddr> {
        web(&self.fleet, host, actor)
    }

    /// Starts the counter's store on a host, and links it.
    pub(crate) fn store(&self, host: &str, actor: &str) -> Result<()> {
        self.fleet.wattle(&["start", "provider", "keyvalue-memory", "--id", "store", "--host", host])?;
        self.fleet.wattle(&["link", "put", actor, "store", KEYVALUE]).map(drop)
    }

    /// Declares the counter, and returns its id.
    pub(crate) fn counter(&self, words: &[&str]) -> Result<String> {
        counter(&self.fleet, words)
    }

    /// Kills a host, whose words count no more.
    pub(crate) fn kill(&mut self, host: &str) -> Result<()> {
        self.fleet.kill_host(host)?;
        self.beats.forget(host);
        Ok(())
    }
}

/// Starts an HTTP server on a host that serves the counter, and returns where.
pub(crate) fn web(fleet: &Fleet, host: &str, actor: &str) -> Result<SocketAddr> {
    let (http, id) = (free_address()?, format!("web-{host}"));
    fleet.wattle(&["start", "provider", "httpserver", "--id", &id, "--host", host])?;
    fleet.wattle(&["link", "put", actor, &id, HTTP, &format!("address={http}"), "--link-name", &id])?;
    Ok(http)
}

/// Declares the counter, and returns its id.
pub(crate) fn counter(fleet: &Fleet, words: &[&str]) -> Result<String> {
    let scaled = fleet.wattle(&[&["scale", "actor", &fleet.module("counter-v1.wasm")][..], words].concat())?;
    Ok(scaled.get("actor").and_then(Value::as_str).context("no actor id")?.to_owned())
}

/// Waits until the counter answers at an address, and returns how long that took.
pub(crate) fn until_answered(http: SocketAddr, patience: Duration) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let said = match probe::post(http, "/counter/probe") {
            Ok(answer) if answer.status == 200 => return Ok(begun.elapsed()),
            Ok(answer) => answer.body.to_string(),
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() > patience {
            bail!("the counter at {http} does not answer after {patience:?}: {said}");
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Fails unless every request was answered.
pub(crate) fn all_answered(what: &str, seen: &Summary) -> Result<String> {
    if seen.failed() > 0 || seen.counted == 0 {
        bail!("{what}: {} of {} failed: {:?}", seen.failed(), seen.requests, seen.named);
    }
    Ok(format!(
        "{what}: {} requests, 0 failed, p50 {}, p99 {}, max {}",
        seen.requests,
        millis(seen.p50_us),
        millis(seen.p99_us),
        millis(seen.max_us)
    ))
}

pub(crate) fn millis(us: u32) -> String {
    format!("{:.1} ms", f64::from(us) / 1e3)
}

/// Returns a number from the environment, or the short way.
pub(crate) fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(otherwise),
    }
}

/// Returns what is in a host's log.
pub(crate) fn log(fleet: &Fleet, host: &str) -> String {
    fs::read_to_string(fleet.folder().join(format!("{host}.log"))).unwrap_or_default()
}
