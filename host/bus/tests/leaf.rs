//! Buckets of a hub, from behind leaf nodes: with a JetStream of their own, and without.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::process::Child;
use wattle_bus::{Bus as _, BusError, Expect, KvEvent, KvStore, NatsBus, NatsOptions};

use crate::{
    kv::{Copy, PATIENCE, next},
    server::start_plain,
};

const DOMAIN: &str = "hub";

/// A hub with a JetStream, and a leaf node of it. Ended when dropped.
struct Pair {
    hub: String,
    leaf: String,
    port: u16,
    folder: TempDir,
    _hub: Child,
    leaf_server: Child,
}

impl Pair {
    /// Starts both, the leaf with these lines in its configuration.
    async fn start(leaf_lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let hub_lines = format!(
            "server_name: hub\njetstream {{ store_dir: js, domain: {DOMAIN} }}\nleafnodes {{ listen: 127.0.0.1:{port} }}"
        );
        let (_hub, hub) = serve(&folder.path().join("hub"), &hub_lines).await;
        let (leaf_server, leaf) = serve(&folder.path().join("leaf"), &leaf_config(port, leaf_lines)).await;
        Self { hub, leaf, port, folder, _hub, leaf_server }
    }

    /// Connects to the leaf, and waits until the hub is reached from there.
    async fn connect_leaf(&self) -> NatsBus {
        let bus = connect(&self.leaf, Some(DOMAIN)).await.unwrap();
        opened(&bus, "reached").await;
        bus
    }
}

fn leaf_config(port: u16, lines: &str) -> String {
    format!(
        "server_name: leaf\nleafnodes {{ remotes: [ {{ url: \"nats://127.0.0.1:{port}\" }} ], reconnect: 1 }}\n{lines}"
    )
}

async fn serve(folder: &Path, lines: &str) -> (Child, String) {
    fs::create_dir_all(folder).unwrap();
    // As in `deploy/nats`: NATS adds headers to what passes a leaf node.
    fs::write(folder.join("nats.conf"), format!("max_payload: 8MB\n{lines}")).unwrap();
    start_plain(folder, &["-c", "nats.conf"]).await
}

async fn connect(url: &str, domain: Option<&str>) -> Result<NatsBus, BusError> {
    let js_domain = domain.map(str::to_owned);
    NatsBus::connect(NatsOptions { urls: vec![url.into()], js_domain, ..NatsOptions::default() }).await
}

/// Opens a bucket, as soon as there is a way to it.
async fn opened(bus: &NatsBus, name: &str) -> std::sync::Arc<dyn KvStore> {
    let opening = async {
        loop {
            match bus.bucket(name).await {
                Ok(bucket) => return bucket,
                Err(error) => assert_eq!(error.code(), "kv_unavailable", "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, opening).await.unwrap()
}

#[tokio::test]
async fn every_promise_is_kept_through_a_leaf_without_jetstream() {
    let pair = Pair::start("").await;
    let far = pair.connect_leaf().await;
    // On the hub the domain may be named, or not.
    crate::kv::check_all(&connect(&pair.hub, None).await.unwrap(), &far).await;
    assert_eq!(connect(&pair.leaf, None).await.unwrap().bucket("b").await.err().unwrap().code(), "kv_unavailable");
}

#[tokio::test]
async fn every_promise_is_kept_through_a_leaf_with_a_jetstream_of_its_own() {
    let pair = Pair::start("jetstream { store_dir: js, domain: leaf }").await;
    let far = pair.connect_leaf().await;
    let own = connect(&pair.leaf, None).await.unwrap().bucket("b").await.unwrap();
    own.put("k", "of the leaf".into(), Expect::Absent).await.unwrap();
    crate::kv::check_all(&far, &connect(&pair.hub, Some(DOMAIN)).await.unwrap()).await;
    // One name, two buckets.
    let common = far.bucket("b").await.unwrap();
    assert_eq!(common.get("k").await.unwrap(), None);
    common.put("k", "of the hub".into(), Expect::Absent).await.unwrap();
    assert_eq!(own.get("k").await.unwrap().unwrap().value, "of the leaf");
}

#[tokio::test]
async fn a_watch_heals_when_the_leaf_was_gone_and_when_the_bucket_was_lost() {
    let mut pair = Pair::start("").await;
    let (far, near) = (pair.connect_leaf().await, connect(&pair.hub, None).await.unwrap());
    let bucket = near.bucket("b").await.unwrap();
    bucket.put("k", "1".into(), Expect::Absent).await.unwrap();
    let mut watch = far.bucket("b").await.unwrap().watch().await.unwrap();
    let mut copy = Copy::default();
    copy.until(&mut watch, |copy| copy.is_caught_up).await;
    near.client().request("$JS.API.STREAM.DELETE.KV_b", "".into()).await.unwrap();
    assert_eq!(next(&mut watch).await, KvEvent::Reset { lost: true });
    assert_eq!(next(&mut watch).await, KvEvent::CaughtUp);

    let port = pair.leaf.rsplit_once(':').unwrap().1.to_owned();
    pair.leaf_server.kill().await.unwrap();
    bucket.put("k", "2".into(), Expect::Absent).await.unwrap();
    let folder = pair.folder.path().join("leaf");
    fs::write(folder.join("nats.conf"), leaf_config(pair.port, "")).unwrap();
    let (_again, url) = start_plain(&folder, &["-c", "nats.conf", "-p", &port]).await;
    assert_eq!(url, pair.leaf);
    copy.until(&mut watch, |copy| copy.is_caught_up && copy.entries.get("k").is_some_and(|value| value == "2")).await;
}

#[tokio::test]
async fn a_domain_that_is_not_there_is_named() {
    let pair = Pair::start("").await;
    drop(pair.connect_leaf().await);
    let error = connect(&pair.leaf, Some("nowhere")).await.unwrap().bucket("b").await.err().unwrap();
    assert!(error.code() == "kv_unavailable" && error.to_string().contains("domain nowhere"), "{error}");
    assert_eq!(connect(&pair.leaf, Some("a.b")).await.unwrap_err().code(), "subject_invalid");
}
