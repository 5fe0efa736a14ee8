//! Hosts that could run something bid for it; the others are silent.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use wattle_bus::Bus;
use wattle_host::HostConfig;
use wattle_types::{LatticeId, subject};

use super::{BusError, Lattice, PATIENCE};
use crate::support::{start, start_script};

/// Long enough for a host of this process to answer, if it does.
const SILENCE: Duration = Duration::from_millis(300);

fn in_zone(zone: &str) -> HostConfig {
    HostConfig { labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]), ..HostConfig::default() }
}

impl Lattice {
    /// Holds an auction and returns the ids of the first `bids` bidders, in order.
    async fn auction(&self, kind: &str, body: &Value, bids: usize) -> Vec<String> {
        let subject = subject::control(&LatticeId::default(), &format!("{kind}.auction"));
        let inbox = self.bus.new_inbox();
        let mut answers = self.bus.subscribe(&inbox, None).await.unwrap();
        self.bus.publish(&subject, Some(&inbox), &[], body.to_string().into()).await.unwrap();
        let mut hosts = Vec::new();
        for _ in 0..bids {
            let bid = tokio::time::timeout(PATIENCE, answers.next()).await.unwrap().unwrap();
            let bid: Value = serde_json::from_slice(&bid.payload).unwrap();
            assert_eq!(bid["response"]["constraints"], body["constraints"]);
            assert_eq!(bid["response"][format!("{kind}_id")], body[format!("{kind}_id")]);
            assert_eq!(bid["response"][format!("{kind}_ref")], body[format!("{kind}_ref")]);
            hosts.push(bid["response"]["host_id"].as_str().unwrap().to_owned());
        }
        assert!(tokio::time::timeout(SILENCE, answers.next()).await.is_err(), "more than {bids} bids");
        hosts.sort();
        hosts
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_with_the_labels_bid_for_an_actor_they_do_not_run() {
    let lattice = Lattice::with(in_zone("a")).await;
    let other = lattice.join(in_zone("b")).await;
    let module = lattice.author.echo("1:", 1);
    let reference = lattice.file("v1.wasm", module.clone());
    let mut both = [lattice.host.id().to_string(), other.id().to_string()];
    both.sort();
    let auction = |reference: &str, constraints: Value| json!({ "component_ref": reference, "component_id": lattice.author.id(), "constraints": constraints });
    assert_eq!(lattice.auction("component", &auction(&reference, json!({})), 2).await, both);
    let there = auction(&reference, json!({ "zone": "b", "hostcore.os": std::env::consts::OS }));
    assert_eq!(lattice.auction("component", &there, 1).await, [other.id().to_string()]);
    lattice.auction("component", &auction(&reference, json!({ "zone": "c" })), 0).await;
    lattice.auction("component", &auction("ghcr.io/some/actor:1", json!({})), 0).await;
    lattice.auction("component", &auction("file:///nonexistent.wasm", json!({})), 0).await;

    start(&other, module).await;
    let here = [lattice.host.id().to_string()];
    assert_eq!(lattice.auction("component", &auction(&reference, json!({})), 1).await, here);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_bid_for_a_provider_they_know_and_do_not_run() {
    let lattice = Lattice::new().await;
    let auction = |reference: &str| json!({ "provider_ref": reference, "provider_id": "kv", "constraints": {} });
    let here = [lattice.host.id().to_string()];
    assert_eq!(lattice.auction("provider", &auction("builtin:script"), 1).await, here);
    lattice.auction("provider", &auction("builtin:unheard-of"), 0).await;
    // This host has nothing that processes could connect to.
    let archive = lattice.file("kv.par.gz", "".into());
    lattice.auction("provider", &auction(&archive), 0).await;
    start_script(&lattice.host, "kv").await;
    lattice.auction("provider", &auction("builtin:script"), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_that_cannot_be_read_is_refused() {
    let lattice = Lattice::new().await;
    assert!(!lattice.ask("component.auction", false, json!({ "component_id": 1 })).await.success);
    let subject = subject::control(&LatticeId::default(), "provider.auction");
    lattice.host.shutdown().await;
    let gone = lattice.bus.request(&subject, &[], "{}".into(), PATIENCE).await.unwrap_err();
    assert!(matches!(gone, BusError::NoResponders { .. }), "{gone}");
}
