//! Hosts of one lattice: what runs on one is called from the others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use wattle_bus::{Bus, MemoryBus};
use wattle_host::{Engine, EngineConfig, Host, HostConfig};
use wattle_types::{
    HostId, InvokeError,
    wascap::{KeyKind, KeyPair},
};

use crate::support::{Author, KEYVALUE, Script, ScriptFactory, link, start, start_script};

/// Longest anything here may take to be known everywhere.
const SOON: Duration = Duration::from_secs(10);

mod declared;
mod signed;
mod silent;

struct Lattice {
    author: Author,
    script: Arc<Script>,
    network: MemoryBus,
    cluster: KeyPair,
    connections: Mutex<BTreeMap<HostId, MemoryBus>>,
}

impl Lattice {
    fn new() -> Self {
        let (author, script) = (Author::new(), Arc::default());
        let cluster = KeyPair::generate(KeyKind::Cluster).unwrap();
        Self { author, script, network: MemoryBus::new(), cluster, connections: Mutex::default() }
    }

    async fn host(&self, name: &str) -> Host {
        self.host_of(name, &self.cluster).await
    }

    async fn host_of(&self, name: &str, cluster: &KeyPair) -> Host {
        self.host_with(HostConfig { friendly_name: name.into(), ..HostConfig::default() }, cluster).await
    }

    async fn host_with(&self, config: HostConfig, cluster: &KeyPair) -> Host {
        let bus = self.network.connect();
        let builder = Host::builder(Engine::new(EngineConfig::default()).unwrap(), self.author.trust()).config(config);
        let cluster = KeyPair::from_seed(&cluster.seed()).unwrap();
        let builder = builder
            .cluster_key(cluster)
            .bus(Arc::new(bus.clone()))
            .provider_kind("script", ScriptFactory(self.script.clone()));
        let host = builder.start().await.unwrap();
        self.connections.lock().unwrap().insert(host.id(), bus);
        host
    }

    /// Cuts a host off for good, the way a crash does.
    async fn crash(&self, host: &Host) {
        let connection = self.connections.lock().unwrap().remove(&host.id()).unwrap();
        connection.drain().await;
    }
}

/// Tries until it comes out as it should.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let trying = async {
        loop {
            if let Some(result) = attempt().await {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, trying).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}

async fn call(host: &Host, actor: &str, payload: &'static [u8]) -> Result<Bytes, InvokeError> {
    host.call(actor, "Op", Bytes::from_static(payload), None).await
}

async fn call_until_ok(host: &Host, actor: &str, payload: &'static [u8]) -> Bytes {
    eventually("the call", || async { call(host, actor, payload).await.ok() }).await
}

#[tokio::test]
async fn an_actor_is_called_from_any_host() {
    let lattice = Lattice::new();
    let (a, b) = (lattice.host("a").await, lattice.host("b").await);
    let echo = start(&b, lattice.author.echo("b:", 1)).await;
    assert_eq!(call_until_ok(&a, &echo.to_string(), b"hi").await, "b:hi");
    // From one actor to another, by its key.
    let caller = lattice.author.another();
    let caller = start(&a, caller.forward(&echo.to_string(), &[], 1)).await;
    assert_eq!(call(&a, &caller.to_string(), b"ho").await.unwrap(), "b:ho");
    // Local first.
    start(&a, lattice.author.echo("a:", 1)).await;
    assert_eq!(call(&a, &echo.to_string(), b"hi").await.unwrap(), "a:hi");
    b.shutdown().await;
    a.shutdown().await;
}

#[tokio::test]
async fn a_call_goes_to_another_host_when_one_is_gone() {
    let lattice = Lattice::new();
    let (a, b, c) = (lattice.host("a").await, lattice.host("b").await, lattice.host("c").await);
    let echo = start(&b, lattice.author.echo("b:", 1)).await.to_string();
    start(&c, lattice.author.echo("c:", 1)).await;
    eventually("both hosts answer", || async {
        let first = call(&a, &echo, b"").await.ok()?;
        for _ in 0..16 {
            if call(&a, &echo, b"").await.ok()? != first {
                return Some(());
            }
        }
        None
    })
    .await;
    b.shutdown().await;
    for _ in 0..32 {
        assert_eq!(call(&a, &echo, b"x").await.unwrap(), "c:x");
    }
    c.shutdown().await;
    let refused = eventually("nobody runs it", || async { call(&a, &echo, b"x").await.err() }).await;
    assert_eq!(refused.code(), "actor_not_found");
    a.shutdown().await;
}

#[tokio::test]
async fn a_host_stops_when_another_process_takes_its_key() {
    let lattice = Lattice::new();
    let key = KeyPair::generate(KeyKind::Host).unwrap();
    let start = async |lattice: &Lattice| {
        let bus = Arc::new(lattice.network.connect());
        let builder = Host::builder(Engine::new(EngineConfig::default()).unwrap(), lattice.author.trust()).bus(bus);
        let [key, cluster] = [&key, &lattice.cluster].map(|key| KeyPair::from_seed(&key.seed()).unwrap());
        builder.key(key).cluster_key(cluster).start().await.unwrap()
    };
    let one = start(&lattice).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let two = start(&lattice).await;
    tokio::time::timeout(SOON, one.wait_stopped()).await.expect("the first stops");
    assert_eq!(one.id(), two.id());
    two.shutdown().await;
}

#[tokio::test]
async fn a_host_of_another_cluster_is_not_trusted() {
    let lattice = Lattice::new();
    let stranger = KeyPair::generate(KeyKind::Cluster).unwrap();
    let (a, b) = (lattice.host("a").await, lattice.host_of("b", &stranger).await);
    let echo = start(&b, lattice.author.echo("b:", 1)).await.to_string();
    // Several beats of its are heard meanwhile, and none is taken.
    let known = eventually("b is known", || async {
        call(&a, &echo, b"").await.err().filter(|error| error.code() != "actor_not_found")
    });
    assert!(tokio::time::timeout(Duration::from_secs(2), known).await.is_err());
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_provider_is_reached_from_any_host_and_reaches_any_actor() {
    let lattice = Lattice::new();
    let (a, b) = (lattice.host("a").await, lattice.host("b").await);
    let actor = start(&a, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&b, "store").await;
    a.put_link(link(actor, "store"), false).await.unwrap();
    assert_eq!(call_until_ok(&a, &actor.to_string(), b"").await, "store #1: Op");
    // A host that comes later has the link too.
    let c = lattice.host("c").await;
    assert_eq!(c.links().len(), 1);
    b.delete_link(&link(actor, "store").key).await.unwrap();
    let refused = eventually("the link is gone", || async { call(&a, &actor.to_string(), b"").await.err() }).await;
    assert_eq!(refused.root().code(), "link_not_found");
    for host in [a, b, c] {
        host.shutdown().await;
    }
}

#[tokio::test]
async fn a_call_to_a_host_that_crashes_ends_at_once_and_is_repeated_only_where_that_is_safe() {
    for (operation, expected) in [("Op", Err("outcome_unknown")), ("Read", Ok("store #2: Read"))] {
        let lattice = Lattice::new();
        let (a, b) = (lattice.host("a").await, lattice.host("b").await);
        let actor = start(&a, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await.to_string();
        start_script(&b, "store").await;
        a.put_link(link(lattice.author.id(), "store"), false).await.unwrap();
        call_until_ok(&a, &actor, b"").await;
        lattice.script.hold.store(true, Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        let wait = Some(Duration::from_secs(30));
        let calling = a.call(&actor, operation, Bytes::new(), wait);
        let crashing = async {
            lattice.script.holding.notified().await;
            lattice.script.hold.store(false, Ordering::SeqCst);
            let c = lattice.host("c").await;
            start_script(&c, "store").await;
            lattice.crash(&b).await;
            c
        };
        let (result, c) = tokio::join!(calling, crashing);
        let result = result.map_err(|error| error.root().code());
        assert_eq!(result, expected.map(Bytes::from), "{operation}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        lattice.script.release.notify_waiters();
        a.shutdown().await;
        c.shutdown().await;
    }
}

#[tokio::test]
async fn links_put_by_several_hosts_at_once_are_all_kept() {
    let lattice = Lattice::new();
    let (a, b) = (lattice.host("a").await, lattice.host("b").await);
    let actors: Vec<_> = (0..16).map(|_| lattice.author.another().id()).collect();
    let puts = actors.iter().enumerate().map(|(index, actor)| {
        let host = if index % 2 == 0 { &a } else { &b };
        host.put_link(link(*actor, "store"), false)
    });
    for put in futures::future::join_all(puts).await {
        put.unwrap();
    }
    // The same link to two providers at once: one of them wins, the other is told.
    let (one, other) = tokio::join!(
        a.put_link(link(lattice.author.id(), "one"), false),
        b.put_link(link(lattice.author.id(), "other"), false)
    );
    assert_eq!([one, other].iter().filter(|put| put.is_ok()).count(), 1);
    for host in [&a, &b] {
        eventually("all links are there", || async { (host.links().len() == 17).then_some(()) }).await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_provider_slow_to_accept_a_link_keeps_no_deleted_link_alive() {
    let lattice = Lattice::new();
    let (a, b) = (lattice.host("a").await, lattice.host("b").await);
    start_script(&a, "slow").await;
    let (deleted, slow) = (link(lattice.author.id(), "store"), link(lattice.author.another().id(), "slow"));
    b.put_link(deleted.clone(), false).await.unwrap();
    eventually("the link is there", || async { (a.links().len() == 1).then_some(()) }).await;
    let values = BTreeMap::from([("slow".to_owned(), String::new())]);
    b.put_link(wattle_types::LinkDefinition { values, ..slow }, false).await.unwrap();
    // The provider on the other host is being asked, and does not answer.
    lattice.script.holding.notified().await;
    b.delete_link(&deleted.key).await.unwrap();
    eventually("the deleted link is gone", || async { a.links().is_empty().then_some(()) }).await;
    // Nor does the host wait for it when it stops.
    tokio::time::timeout(SOON, a.shutdown()).await.unwrap();
    b.shutdown().await;
}
