//! A provider on the published `wasmbus-rpc` as a process of a host, on a private nats-server as `wattle up` starts
//! one.

pub(crate) mod scene;

use std::{collections::BTreeMap, sync::Arc};

use rustix::process::{Signal, kill_process};
use tokio::{sync::watch, task::JoinSet};
use wattle_types::ActorId;

use crate::rig::{eventually, timely};
use scene::Scene;

/// Where a counter begins whose link says so, and one whose provider's configuration says so.
const LINK_START: i32 = 100;
const CONFIG_START: i32 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn linked_actors_count_and_are_asked_until_their_link_is_deleted() {
    let scene = Scene::start(Scene::wasmbus_provider()).await;
    let (first, second) = (scene.counter().await, scene.counter().await);
    scene.link(first, &[("ask", "yes")]).await;
    assert_eq!(scene.count(second).await, Err("link_not_found"));
    scene.link(second, &[("start", "100")]).await;
    for round in 1..=10 {
        assert_eq!(scene.count(first).await, Ok(round));
        assert_eq!(scene.count(second).await, Ok(LINK_START + round));
    }

    scene.unlink(second).await;
    assert_eq!(scene.count(second).await, Err("link_not_found"));
    assert_eq!(scene.count(first).await, Ok(11));
    // It keeps a counter as long as its link, and ignores a link it has: both puts and the delete reached it.
    scene.link(second, &[("start", "200")]).await;
    assert_eq!(scene.count(second).await, Ok(201));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_comes_back_with_its_links() {
    let scene = Scene::start(Scene::wasmbus_provider()).await;
    let (first, second) = (scene.counter().await, scene.counter().await);
    scene.link(first, &[("ask", "yes")]).await;
    scene.link(second, &[("start", "100")]).await;
    assert_eq!((scene.count(first).await, scene.count(second).await), (Ok(1), Ok(LINK_START + 1)));

    let killed = scene.pid();
    kill_process(killed, Signal::KILL).unwrap();
    // What it had counted died with it; where to begin is in the link.
    let recount = async || match scene.count(first).await {
        Ok(count) => Some(count),
        Err(code) => {
            // At once, also for a call that reached NATS but not the process.
            assert_eq!(code, "backend_unavailable");
            None
        }
    };
    assert_eq!(eventually(recount).await, 1);
    assert_eq!(scene.count(second).await, Ok(LINK_START + 1));
    assert_ne!(scene.pid(), killed);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_calls_loses_none() {
    const CALLERS: usize = 4;
    let scene = Arc::new(Scene::start(Scene::wasmbus_provider()).await);
    let actor = scene.counter().await;
    scene.link(actor, &[("ask", "yes")]).await;
    let old = scene.pid();

    let (progress, seen) = watch::channel(0);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(count_past_the_swap(scene.clone(), actor, progress.clone()));
    }
    reaches(&seen, 20).await;
    scene.swap(BTreeMap::from([("start".to_owned(), CONFIG_START.to_string())])).await;
    reaches(&seen, CONFIG_START + 20).await;

    let mut counted: Vec<_> = timely(callers.join_all()).await.concat();
    counted.sort_unstable();
    let (by_old, by_new) = counted.split_at(counted.partition_point(|count| *count <= CONFIG_START));
    assert_eq!(by_old, (1..).take(by_old.len()).collect::<Vec<_>>());
    assert_eq!(by_new, (CONFIG_START + 1..).take(by_new.len()).collect::<Vec<_>>());
    assert!(scene.pid() != old, "the old process is gone and one new one runs");
    scene.end().await;
}

/// Counts, without a pause, until the new generation has counted a few times; no call may fail.
async fn count_past_the_swap(scene: Arc<Scene>, actor: ActorId, progress: watch::Sender<i32>) -> Vec<i32> {
    let mut counted = Vec::new();
    while *progress.borrow() < CONFIG_START + 20 {
        let count = scene.count(actor).await.unwrap();
        counted.push(count);
        progress.send_if_modified(|most| std::mem::replace(most, count.max(*most)) < count);
    }
    counted
}

async fn reaches(progress: &watch::Receiver<i32>, goal: i32) {
    timely(progress.clone().wait_for(|most| *most >= goal)).await.unwrap();
}
