//! A host that drains finishes what it has, and leaves what others can do to others.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;
use wattle_bus::Bus;
use wattle_types::{LatticeId, subject};

use super::{BusError, Lattice, PATIENCE};
use crate::support::{KEYVALUE, link, start, start_script};

/// Long enough for a host of this process to answer, if it does.
const SILENCE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_host_answers_for_itself_only_and_begins_nothing() {
    let lattice = Lattice::new().await;
    let actor = start(&lattice.host, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&lattice.host, "kv").await;
    lattice.host.put_link(link(actor, "kv"), false).await.unwrap();
    lattice.script.hold.store(true, Ordering::SeqCst);
    let (calling, stopping) = (lattice.host.clone(), lattice.host.clone());
    let mut working = JoinSet::new();
    working.spawn(async move { drop(calling.call(&actor.to_string(), "Get", "".into(), None).await.unwrap()) });
    lattice.script.holding.notified().await;
    working.spawn(async move { stopping.shutdown().await });

    let anybody = subject::control(&LatticeId::default(), "link.get");
    let left_to_others = async {
        while !matches!(
            lattice.bus.request(&anybody, &[], "".into(), SILENCE).await,
            Err(BusError::NoResponders { .. })
        ) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, left_to_others).await.unwrap();
    let inventory = lattice.ask("host.get", true, json!(null)).await.response.unwrap();
    assert_eq!(inventory["components"][0]["id"], json!(actor));
    let another = lattice.author.another();
    let reference = lattice.file("another.wasm", another.echo("", 1));
    let scale = json!({ "component_ref": reference, "component_id": another.id(), "count": 1 });
    let refused = lattice.ask("component.scale", true, scale).await;
    assert_eq!((refused.success, refused.message.as_str()), (false, "the host is draining"));
    let auction = json!({ "component_ref": reference, "component_id": another.id(), "constraints": {} });
    let subject = subject::control(&LatticeId::default(), "component.auction");
    let silent = lattice.bus.request(&subject, &[], auction.to_string().into(), SILENCE).await;
    assert!(matches!(silent, Err(BusError::TimedOut { .. })), "{silent:?}");

    lattice.script.hold.store(false, Ordering::SeqCst);
    lattice.script.release.notify_one();
    working.join_all().await;
}
