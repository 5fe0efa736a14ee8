//! The hosts the story is told on.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    fleet::{Beats, Fleet, Nats, end_leftover, free_address, fresh_folder},
    probe,
    process::say,
    setup,
    workspace::Workspace,
};

/// The folder below `target`.
const FOLDER: &str = "demo-lattice";
/// The provider of the counter's store.
pub(super) const STORE: &str = "store";
/// How long a change of the lattice may take to be seen.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The hosts of the lattice, and what they say of themselves.
const HOSTS: [(&str, &str); 3] = [("edge", "role=edge"), ("work-1", "role=work"), ("work-2", "role=work")];

/// Three hosts and what they share.
pub(super) struct Scene {
    pub(super) fleet: Fleet,
    pub(super) nats: Nats,
    pub(super) beats: Beats,
    /// Where the HTTP server on `edge` listens.
    pub(super) http: SocketAddr,
    /// The counter's id.
    pub(super) actor: String,
    pub(super) redis: String,
}

impl Scene {
    /// Starts the hosts and what they run.
    pub(super) fn set(workspace: &Workspace, wattle: &Path, servers: &setup::Servers) -> Result<Self> {
        let folder = fresh_folder(workspace, FOLDER)?;
        let mut nats = Nats::new(&servers.nats, &folder, "nats", Vec::new())?;
        nats.start()?;
        let mut fleet = Fleet::prepare(workspace, wattle, &folder, &nats.url())?;
        let redis = fleet.start_redis(&servers.redis)?;
        for (name, label) in HOSTS {
            fleet.start_host(name, &[label])?;
        }
        say(&format!("demo: edge, work-1 and work-2 are up, each a process of its own, with NATS at {}", nats.url()));
        let beats = Beats::listen(nats.port)?;
        beats.wait("all hosts are there", PATIENCE, |beats| beats.hosts().len() == HOSTS.len())?;
        let http = free_address()?;
        let mut scene = Self { fleet, nats, beats, http, actor: String::new(), redis };
        scene.open()?;
        Ok(scene)
    }

    /// Declares what runs where, and links it.
    fn open(&mut self) -> Result<()> {
        self.fleet.wattle(&["start", "provider", "httpserver", "--id", "web", "--host", "edge"])?;
        let url = format!("url={}", self.redis);
        self.fleet.wattle(&[
            "scale",
            "provider",
            "keyvalue-redis",
            "--id",
            STORE,
            "--replicas",
            "1",
            "--constraint",
            "role=work",
            "--config",
            &url,
        ])?;
        let v1 = self.fleet.module("counter-v1.wasm");
        let spread = ["--spread", "role=work:9", "--spread", "role=edge:1"];
        let scaled = self.fleet.wattle(&[&["scale", "actor", &v1, "--replicas", "2"][..], &spread].concat())?;
        self.actor = scaled.get("actor").and_then(Value::as_str).context("no actor id")?.to_owned();
        let address = format!("address={}", self.http);
        self.fleet.wattle(&["link", "put", &self.actor, "web", "wasmcloud:httpserver", &address])?;
        self.fleet.wattle(&["link", "put", &self.actor, STORE, "wasmcloud:keyvalue"])?;
        let answer = probe::post(self.http, "/counter/probe")?;
        ensure!(answer.status == 200, "the counter answers {answer:?}");
        say(&format!("demo: http://{} counts: {}", self.http, answer.body));
        Ok(())
    }

    /// Starts a host of the lattice again.
    pub(super) fn restart(&mut self, name: &str) -> Result<()> {
        let label = HOSTS.iter().find(|(host, _)| *host == name).map_or("role=work", |(_, label)| *label);
        self.fleet.start_host(name, &[label])
    }

    /// Returns the work host that has the store, and the other one.
    pub(super) fn work_hosts(&self) -> Result<(String, String)> {
        let stores = self.beats.who_runs(STORE);
        let store = stores.first().context("nobody runs the store")?.clone();
        let other = if store == "work-1" { "work-2" } else { "work-1" };
        Ok((store, other.to_owned()))
    }

    /// Says which hosts run what.
    pub(super) fn tell(&self) {
        let (actor, store) = (self.beats.who_runs(&self.actor), self.beats.who_runs(STORE));
        say(&format!("    the counter runs on {}; its store on {}", actor.join(", "), store.join(", ")));
    }

    /// Leaves the hosts running and says what to try.
    pub(super) fn leave(mut self) {
        self.fleet.leave();
        if let Ok(nats) = self.nats.process_mut() {
            nats.leave();
        }
        say(&format!(
            "\nThe lattice is still running. Try:\n\
             \x20 curl -X POST http://{http}/counter/mine\n\
             \x20 alias w='{wattle}'\n\
             \x20 w get declared\n\
             \x20 w drain host work-1        (then curl again)\n\
             \x20 w update actor Counter {v2} --canary 20%\n\
             \x20 kill -9 $(cat {folder}/work-2.pid)\n\
             End it with:\n\
             \x20 cargo xtask demo lattice --end",
            http = self.http,
            wattle = self.fleet.by_hand(),
            v2 = self.fleet.module("counter-v2.wasm"),
            folder = self.fleet.folder().display(),
        ));
    }

    /// Ends everything, hosts first.
    pub(super) fn end(mut self) -> Result<()> {
        self.fleet.end()
    }

    /// Ends what an earlier demo left running.
    pub(super) fn end_leftover(workspace: &Workspace) -> Result<()> {
        end_leftover(&workspace.root().join("target").join(FOLDER))
    }

    /// Shows the ends of the hosts' logs.
    pub(super) fn show_logs(&self) {
        HOSTS.iter().for_each(|(name, _)| say(&self.fleet.log_of(name)));
    }
}
