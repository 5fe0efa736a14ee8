//! Providers that are processes: a real nats-server, real children.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use wattle_bus::{
    NatsBus, NatsOptions,
    nats_server::{self, NatsServer, NatsServerOptions},
};
use wattle_host::{Host, ProviderRpc, StartProvider, Steps};
use wattle_runtime::{Engine, EngineConfig};
use wattle_types::{
    ActorId, InvokeError, LinkDefinition,
    wascap::{Archive, Claims, Compression, KeyKind, KeyPair, Provider, current_target, sign_archive},
};

use crate::support::{Author, KEYVALUE, link, start};

/// Longest wait for a process to do what it should.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host on a server of its own, an actor that forwards every call to key-value, and an archive of the fixture.
struct Stage {
    host: Host,
    actor: ActorId,
    author: Author,
    provider: KeyPair,
    folder: tempfile::TempDir,
    server: NatsServer,
}

/// The key by which the hosts of a stage know each other.
fn cluster() -> KeyPair {
    KeyPair::from_seed_bytes(KeyKind::Cluster, [9; 32]).unwrap()
}

async fn connect(server: &NatsServer) -> Arc<NatsBus> {
    let urls = vec![server.url().to_owned()];
    Arc::new(NatsBus::connect(NatsOptions { urls, ..NatsOptions::default() }).await.unwrap())
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
        let options =
            NatsServerOptions { program, directory: folder.path().join("nats"), port: None, durable_writes: false };
        let server = NatsServer::start_open(options).await.unwrap();
        let author = Author::new();
        let rpc = ProviderRpc {
            nats_url: server.url().to_owned(),
            user_jwt: String::new(),
            user_seed: String::new(),
            binaries: folder.path().join("binaries"),
        };
        let builder = Host::builder(Engine::new(EngineConfig::default()).unwrap(), author.trust());
        let builder = builder.bus(connect(&server).await).cluster_key(cluster());
        let host = builder.provider_rpc(rpc).start().await.unwrap();
        let actor = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
        let provider = KeyPair::generate(KeyKind::Provider).unwrap();
        Self { host, actor, author, provider, folder, server }
    }

    /// Packs and signs the fixture for one platform and returns a reference to it.
    fn archive(&self, target: &str) -> String {
        let binary = std::fs::read(env!("CARGO_BIN_EXE_process-provider-fixture")).unwrap();
        archive(self.folder.path(), &self.author.account, &self.provider, (target, 1), &binary)
    }

    /// Another revision of the archive.
    fn revision(&self, revision: i32) -> String {
        let binary = std::fs::read(env!("CARGO_BIN_EXE_process-provider-fixture")).unwrap();
        archive(self.folder.path(), &self.author.account, &self.provider, (&current_target(), revision), &binary)
    }

    async fn start(&self, config: &str) -> Result<(), wattle_host::HostError> {
        let options = StartProvider {
            id: Some("kv".parse().unwrap()),
            config: BTreeMap::from([("mode".to_owned(), config.to_owned())]),
            ..StartProvider::new(&self.archive(&current_target()))
        };
        self.host.start_provider(options, &Steps::ignore()).await.map(drop)
    }

    async fn started(config: &str) -> Self {
        let stage = Self::set().await;
        stage.start(config).await.unwrap();
        stage.host.put_link(stage.link("1"), false).await.unwrap();
        stage
    }

    fn link(&self, value: &str) -> LinkDefinition {
        LinkDefinition { values: BTreeMap::from([("value".to_owned(), value.to_owned())]), ..link(self.actor, "kv") }
    }

    async fn call(&self, operation: &str, payload: &str) -> Result<String, InvokeError> {
        let answer = self.host.call(&self.actor.to_string(), operation, Bytes::from(payload.to_owned()), None).await;
        answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| error.root().clone())
    }

    async fn error(&self, operation: &str) -> String {
        self.call(operation, "x").await.unwrap_err().to_string()
    }

    async fn pid(&self) -> u32 {
        self.call("Pid", "").await.unwrap().parse().unwrap()
    }
}

fn archive(
    folder: &Path,
    account: &KeyPair,
    provider: &KeyPair,
    (target, revision): (&str, i32),
    binary: &[u8],
) -> String {
    let archive = Archive { binaries: BTreeMap::from([(target.to_owned(), binary.into())]), world: None };
    let facts = Provider::new("Fixture", KEYVALUE, "Wattle").revision(revision);
    let claims = Claims::new(facts, provider.public_key(), 1_700_000_000);
    let bytes = sign_archive(&archive, &claims, account, Compression::None).unwrap();
    let path = folder.join(format!("{target}-{revision}.par"));
    std::fs::write(&path, bytes).unwrap();
    format!("file://{}", path.display())
}

/// Repeats `look` until it finds something.
async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap()
}

/// Returns whether there is such a process; one that ended but was not waited for counts.
fn exists(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn actor_and_process_call_each_other() {
    let stage = Stage::started("").await;
    stage.call("Set", "key=value").await.unwrap();
    assert_eq!(stage.call("Get", "key").await.unwrap(), "=value");
    assert_eq!(stage.call("CallActor", "x").await.unwrap(), "back: x");
    let names = stage.call("Names", "").await.unwrap();
    assert!(!names.contains("PATH") && !names.contains("CARGO"), "{names}");
    assert_eq!(stage.error("Nothing").await, "provider kv failed at Nothing: no operation Nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_and_an_actor_on_another_host_call_each_other() {
    let stage = Stage::started("").await;
    let builder = Host::builder(Engine::new(EngineConfig::default()).unwrap(), stage.author.trust());
    let other = builder.bus(connect(&stage.server).await).cluster_key(cluster()).start().await.unwrap();
    let actor = start(&other, stage.author.another().forward(KEYVALUE, &[KEYVALUE], 1)).await;
    other.put_link(link(actor, "kv"), false).await.unwrap();
    let call = async |operation: &str, payload: &str| {
        let answer = other.call(&actor.to_string(), operation, Bytes::from(payload.to_owned()), None).await;
        answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    eventually(async || call("Set", "key=value").await.ok()).await;
    assert_eq!(call("Get", "key").await.unwrap(), "=value");
    assert_eq!(call("CallActor", "x").await.unwrap(), "back: x");
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_be_told_leaves_the_one_before() {
    let stage = Stage::started("").await;
    // More than a message of NATS holds: the process has been told to forget the link by then.
    let too_large = stage.link(&"x".repeat(9 << 20));
    assert_eq!(stage.host.put_link(too_large, true).await.unwrap_err().code(), "payload_too_large");
    assert_eq!(stage.call("Values", "").await.unwrap(), r#"{"value":"1"}"#);
    stage.host.put_link(stage.link("2"), true).await.unwrap();
    assert_eq!(stage.call("Values", "").await.unwrap(), r#"{"value":"2"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_values_reach_the_process_and_a_deleted_link_ends_both_ways() {
    let stage = Stage::started("").await;
    assert_eq!(stage.call("Values", "").await.unwrap(), r#"{"value":"1"}"#);
    stage.host.put_link(stage.link("2"), true).await.unwrap();
    assert_eq!(stage.call("Values", "").await.unwrap(), r#"{"value":"2"}"#);
    let mut second = stage.link("3");
    second.key.link_name = "second".parse().unwrap();
    assert_eq!(stage.host.put_link(second, false).await.unwrap_err().code(), "config_invalid");
    stage.host.delete_link(&stage.link("2").key).await.unwrap();
    assert_eq!(stage.call("Values", "").await.unwrap_err().code(), "link_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_process_signed_now_for_its_own_link_is_taken() {
    let stage = Stage::started("").await;
    assert!(stage.error("Forge").await.contains("not trusted"), "{}", stage.error("Forge").await);
    assert!(stage.error("Replay").await.contains("was sent before"), "{}", stage.error("Replay").await);
    assert!(stage.error("Tamper").await.contains("hash"), "{}", stage.error("Tamper").await);
    assert!(stage.error("Pretend").await.contains("not trusted"), "{}", stage.error("Pretend").await);
    assert_eq!(stage.call("CallActor", "x").await.unwrap(), "back: x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_crashes_comes_back_with_its_links() {
    let stage = Stage::started("").await;
    let first = stage.pid().await;
    let crashed = stage.call("Crash", "").await.unwrap_err();
    assert_eq!(crashed.code(), "backend_unavailable", "{crashed}");
    let second = eventually(async || stage.call("Pid", "").await.ok()).await;
    assert_ne!(second, first.to_string());
    assert!(!exists(first));
    assert_eq!(stage.call("Values", "").await.unwrap(), r#"{"value":"1"}"#);
    assert_eq!(stage.call("CallActor", "x").await.unwrap(), "back: x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_changed_on_disk_is_not_started_again() {
    let stage = Stage::started("").await;
    for file in std::fs::read_dir(stage.folder.path().join("binaries")).unwrap() {
        let path = file.unwrap().path();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
    }
    stage.call("Crash", "").await.unwrap_err();
    let reason = eventually(async || {
        let error = stage.call("Pid", "").await.unwrap_err();
        assert_ne!(error.code(), "provider_unavailable");
        Some(error.to_string()).filter(|error| error.contains("was changed"))
    });
    assert!(reason.await.contains("tried again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ignores_shutdown_is_killed() {
    let stage = Stage::started("deaf").await;
    let pid = stage.pid().await;
    assert!(exists(pid));
    stage.host.stop_provider(&"kv".parse().unwrap(), &Steps::ignore()).await.unwrap();
    assert!(!exists(pid));
    assert_eq!(stage.call("Pid", "").await.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_moves_links_to_a_new_process_and_ends_the_old_one() {
    let stage = Stage::started("").await;
    let old = stage.pid().await;
    let (kv, reference) = ("kv".parse().unwrap(), stage.archive(&current_target()));
    stage.host.update_provider(&kv, &reference, None, false, &Steps::ignore()).await.unwrap();
    let new = stage.pid().await;
    assert!(new != old && !exists(old) && exists(new));
    assert_eq!(stage.call("CallActor", "x").await.unwrap(), "back: x");
    let exit = Some(BTreeMap::from([("mode".to_owned(), "exit".to_owned())]));
    let refused = stage.host.update_provider(&kv, &reference, exit, false, &Steps::ignore()).await;
    assert_eq!(refused.unwrap_err().code(), "process_exited");
    assert_eq!(stage.pid().await, new);
    stage.host.shutdown().await;
    assert!(!exists(new));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_gives_way_to_a_lower_revision_only_by_force() {
    let stage = Stage::started("").await;
    let kv = "kv".parse().unwrap();
    let update = async |reference: &str, force| {
        let updated = stage.host.update_provider(&kv, reference, None, force, &Steps::ignore()).await;
        (updated.map_err(|error| error.code()), stage.host.inventory().providers[0].revision)
    };
    assert_eq!(update(&stage.revision(3), false).await, (Ok(()), 3));
    let pid = stage.pid().await;
    assert_eq!(update(&stage.revision(2), false).await, (Err("revision_too_low"), 3));
    assert_eq!(stage.pid().await, pid);
    assert_eq!(update(&stage.revision(2), true).await, (Ok(()), 2));
    stage.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_name() {
    let stage = Stage::set().await;
    let start = async |reference: &str| {
        let error = stage.host.start_provider(StartProvider::new(reference), &Steps::ignore()).await.unwrap_err();
        (error.code(), error.remedy().is_some())
    };
    assert_eq!(start(&stage.archive("sparc-solaris")).await, ("target_missing", true));
    let tampered = stage.archive("tampered");
    let path = tampered.strip_prefix("file://").unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    assert_eq!(start(&tampered).await, ("target_hash_mismatch", true));
    let stranger = KeyPair::generate(KeyKind::Account).unwrap();
    let foreign = archive(stage.folder.path(), &stranger, &stage.provider, (&current_target(), 1), b"program");
    assert_eq!(start(&foreign).await, ("issuer_not_trusted", true));
    let exiting = stage.start("exit").await.unwrap_err();
    assert_eq!((exiting.code(), exiting.remedy().is_some()), ("process_exited", true));
    let alone = crate::support::host(&stage.author, &Arc::default()).await;
    let error = alone.start_provider(StartProvider::new(&foreign), &Steps::ignore()).await.unwrap_err();
    assert_eq!((error.code(), error.remedy().is_some()), ("provider_needs_bus", true));
}

/// Returns whether a process runs; one that ended but was not waited for does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_started_ends_with_it() {
    let stage = Stage::started("").await;
    for way in ["crash", "stop"] {
        let children = eventually(async || stage.call("Children", "").await.ok()).await;
        let children: Vec<_> = children.split(' ').collect();
        assert_eq!(children.len(), 2);
        assert!(children.iter().all(|pid| runs(pid)), "{children:?}");
        match way {
            "crash" => drop(stage.call("Crash", "").await.unwrap_err()),
            _ => stage.host.stop_provider(&"kv".parse().unwrap(), &Steps::ignore()).await.map(drop).unwrap(),
        }
        eventually(async || children.iter().all(|pid| !runs(pid)).then_some(())).await;
    }
}

#[test]
fn no_process_outlives_the_runtime_of_its_host() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pid = runtime.block_on(async {
        let stage = Stage::started("deaf").await;
        stage.pid().await
    });
    drop(runtime);
    let ended = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    let deadline = std::time::Instant::now() + PATIENCE;
    while !ended() {
        assert!(std::time::Instant::now() < deadline, "process {pid} still runs");
        std::thread::yield_now();
    }
}
