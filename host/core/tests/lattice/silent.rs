//! What is told of a host that is gone.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use wattle_bus::{Bus, Subscription};
use wattle_host::{Host, HostConfig};
use wattle_types::{LatticeId, subject};

use super::Lattice;

/// Longest wait for what hosts tell of another, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for the next such event that is about `host`; returns its data.
async fn stopped(events: &mut Subscription, host: &str) -> Value {
    let found = async {
        loop {
            let event: Value = serde_json::from_slice(&events.next().await.unwrap().payload).unwrap();
            if event["source"] == host {
                return event["data"].clone();
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("nothing of {host}"))
}

/// Waits until every host was heard a few times since all are there: who crashes before others know it is not missed.
async fn know_each_other(lattice: &Lattice, hosts: &[&Host]) {
    let mut beats = lattice.network.subscribe(&subject::beat(&LatticeId::default(), "*"), None).await.unwrap();
    let mut heard: BTreeMap<String, u32> = BTreeMap::new();
    let all = async {
        while !hosts.iter().all(|host| heard.get(&host.id().to_string()).is_some_and(|beats| *beats >= 5)) {
            let beat = beats.next().await.unwrap();
            *heard.entry(beat.subject.rsplit('.').next().unwrap().to_owned()).or_default() += 1;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_gone_is_told_to_have_stopped_also_when_it_led() {
    let lattice = Lattice::new();
    let often = |name: &str| HostConfig {
        friendly_name: name.into(),
        beat_interval: Duration::from_millis(100),
        labels: [("zone".to_owned(), name.to_owned())].into(),
        ..HostConfig::default()
    };
    let first = lattice.host_with(often("first"), &lattice.cluster).await;
    let mut hosts = Vec::new();
    for name in ["second", "third"] {
        hosts.push(lattice.host_with(often(name), &lattice.cluster).await);
    }
    let third = hosts.pop().unwrap();
    know_each_other(&lattice, &[&first, &hosts[0], &third]).await;
    let mut events = lattice.network.subscribe("wasmbus.evt.default.host_stopped", None).await.unwrap();
    // The first of them leads, or else another does.
    for (gone, name) in [(&third, "third"), (&first, "first")] {
        lattice.crash(gone).await;
        let told = stopped(&mut events, &gone.id().to_string()).await;
        assert_eq!(told["labels"]["zone"], name);
    }
    // Who says itself that it ends is not told of again.
    let fourth = lattice.host_with(often("fourth"), &lattice.cluster).await;
    fourth.shutdown().await;
    stopped(&mut events, &fourth.id().to_string()).await;
    let again = tokio::time::timeout(Duration::from_secs(3), stopped(&mut events, &fourth.id().to_string())).await;
    assert!(again.is_err(), "{again:?}");
}
