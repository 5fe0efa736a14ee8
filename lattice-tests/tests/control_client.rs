//! The published control client of wasmCloud 1.x against a host of ours, with wadm reading every event.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::process::Command;
use wattle_bus::{
    NatsBus, NatsOptions,
    nats_server::{self, NatsServer, NatsServerOptions},
};
use wattle_host::{Host, HostConfig};
use wattle_httpserver_hyper::HttpServerFactory;
use wattle_lattice_tests::{Guest, ThirdParty};
use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module};

use crate::rig::{bytes_of, engine, now};

const CONTRACT: &str = "wasmcloud:httpserver";
/// Longest run of the client; each of its waits is bounded too.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn the_published_control_client_finds_each_operation_and_event_as_it_knows_them() {
    let program = tokio::task::spawn_blocking(|| ThirdParty::here().bring_control_client(&|step| eprintln!("{step}")));
    let program = program.await.unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
    let options =
        NatsServerOptions { program: server, directory: folder.path().join("nats"), port: None, durable_writes: false };
    let nats = NatsServer::start_open(options).await.unwrap();

    let (issuer, module) = (KeyPair::generate(KeyKind::Account).unwrap(), KeyPair::generate(KeyKind::Module).unwrap());
    let actor = module.public_key().to_string();
    let references = [1, 2].map(|revision| write_module(folder.path(), &issuer, &module, revision));
    let client = Command::new(program)
        .args([nats.url(), "default", &actor, &references[0], &references[1], "builtin:httpserver", CONTRACT])
        .args(["address", "127.0.0.1:0", "nonsense"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // After the client, which then hears of its start.
    let host = start_host(&nats, &issuer).await;

    let ended = tokio::time::timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}");
    assert!(told.lines().filter(|line| line.starts_with("ok ")).count() > 40, "{told}");
    host.wait_stopped().await;
}

async fn start_host(nats: &NatsServer, issuer: &KeyPair) -> Host {
    let urls = vec![nats.url().to_owned()];
    let bus = NatsBus::connect(NatsOptions { urls, ..NatsOptions::default() }).await.unwrap();
    let often = HostConfig {
        heartbeat_interval: Duration::from_millis(500),
        health_interval: Duration::from_millis(500),
        ..HostConfig::default()
    };
    let trust = TrustPolicy::new().trust_account(issuer.public_key()).unwrap();
    let builder = Host::builder(engine(), trust).config(often).provider_kind("httpserver", HttpServerFactory);
    builder.bus(Arc::new(bus)).start().await.unwrap()
}

/// Signs a version of the actor and returns a reference to it.
fn write_module(folder: &Path, issuer: &KeyPair, module: &KeyPair, revision: i32) -> String {
    let actor = Actor::new("Echo").capability(CONTRACT).revision(revision);
    let claims = Claims::new(actor, module.public_key(), now());
    let signed = sign_module(&bytes_of(Guest::WapcHostEcho), &claims, issuer).unwrap();
    let path = folder.join(format!("echo-{revision}.wasm"));
    std::fs::write(&path, signed).unwrap();
    format!("file://{}", path.display())
}
