//! Two hosts of one lattice, with what their role may do, and those who ask them.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use wattle_bus::{Bus as _, NatsBus};
use wattle_host::{Host, HostConfig};
use wattle_lattice_tests::Guest;
use wattle_types::{HostId, subject};
use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module};

use super::site::{Role, Site};
use crate::rig::{bytes_of, engine, eventually, now, timely};

/// How long one answer may take.
const WAIT: Duration = Duration::from_secs(30);
/// Pause after which no more hosts answer.
const QUIET: Duration = Duration::from_millis(500);

/// A signed module in a file.
pub(super) struct Echo {
    pub(super) id: String,
    pub(super) reference: String,
}

pub(super) struct Fleet {
    hosts: [Host; 2],
    actor: Echo,
    _folder: TempDir,
}

impl Fleet {
    /// Starts the hosts and waits until they know each other.
    pub(super) async fn start(site: &Site, lattice: &str) -> Self {
        Self::start_at([site, site], lattice).await
    }

    /// The same with each host at a server of its own.
    pub(super) async fn start_at(sites: [&Site; 2], lattice: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = KeyPair::generate(KeyKind::Account).unwrap();
        let actor = sign_echo(folder.path(), &issuer);
        let cluster = KeyPair::generate(KeyKind::Cluster).unwrap();
        let start = async |site| start_host(site, lattice, &issuer, &cluster).await;
        let [one, other] = sites;
        let hosts = [start(one).await, start(other).await];
        let observer = one.connect(lattice, Role::Observer).await;
        eventually(async || (self::hosts(&observer, lattice).await.len() == 2).then_some(())).await;
        Self { hosts, actor, _folder: folder }
    }

    pub(super) const fn hosts(&self) -> &[Host; 2] {
        &self.hosts
    }

    pub(super) const fn actor(&self) -> &Echo {
        &self.actor
    }

    pub(super) async fn end(&self) {
        for host in &self.hosts {
            timely(host.shutdown()).await;
        }
    }
}

async fn start_host(site: &Site, lattice: &str, issuer: &KeyPair, cluster: &KeyPair) -> Host {
    let config = HostConfig { lattice: lattice.parse().unwrap(), ..HostConfig::default() };
    let trust = TrustPolicy::new().trust_account(issuer.public_key()).unwrap();
    let cluster = KeyPair::from_seed(&cluster.seed()).unwrap();
    let bus = site.connect(lattice, Role::Host).await;
    Host::builder(engine(), trust).config(config).bus(Arc::new(bus)).cluster_key(cluster).start().await.unwrap()
}

fn sign_echo(folder: &Path, issuer: &KeyPair) -> Echo {
    let key = KeyPair::generate(KeyKind::Module).unwrap();
    let actor = Actor::new("Echo").capability("wasmcloud:keyvalue");
    let claims = Claims::new(actor, key.public_key(), now());
    let path = folder.join("echo.wasm");
    std::fs::write(&path, sign_module(&bytes_of(Guest::WapcGuest1), &claims, issuer).unwrap()).unwrap();
    Echo { id: key.public_key().to_string(), reference: format!("file://{}", path.display()) }
}

/// Returns the ids of the hosts that answer.
pub(super) async fn hosts(bus: &NatsBus, lattice: &str) -> Vec<String> {
    let inbox = bus.new_inbox();
    let mut answers = bus.subscribe(&inbox, None).await.unwrap();
    let ping = subject::control(&lattice.parse().unwrap(), "host.ping");
    bus.publish(&ping, Some(&inbox), &[], Bytes::new()).await.unwrap();
    let mut found = Vec::new();
    while let Ok(Some(answer)) = tokio::time::timeout(QUIET, answers.next()).await {
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        found.extend(answer["response"]["id"].as_str().map(str::to_owned));
    }
    found
}

/// Sends a request and returns its answer.
pub(super) async fn ask(bus: &NatsBus, subject: &str, body: Value) -> Value {
    let answer = bus.request(subject, &[], body.to_string().into(), WAIT).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// Has a host carry out a command; returns its result, or how it failed.
pub(super) async fn command(bus: &NatsBus, host: HostId, command: Value) -> Result<Value, Value> {
    let verb = format!("wattle.{}", command["verb"].as_str().unwrap());
    let inbox = bus.new_inbox();
    let mut answers = bus.subscribe(&inbox, None).await.unwrap();
    let subject = subject::control_host(&"default".parse().unwrap(), &verb, &host);
    bus.publish(&subject, Some(&inbox), &[], command.to_string().into()).await.unwrap();
    timely(async {
        loop {
            let answer: Value = serde_json::from_slice(&answers.next().await.unwrap().payload).unwrap();
            match answer["progress"].as_str() {
                Some("step") => {}
                Some("done") => return Ok(answer["result"].clone()),
                _ => return Err(json!(answer)),
            }
        }
    })
    .await
}
