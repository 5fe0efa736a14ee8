//! What strangers, and whoever records beats and sends them again, can bring about: nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::time::sleep;
use wattle_bus::{Bus as _, MemoryBus, Message, Subscription};
use wattle_types::{
    BoxFuture, HostId, subject,
    wascap::{KeyKind, KeyPair},
};

use crate::{
    beat::{Beat, Prover},
    fixtures::{self, actor, running},
    node::{LocalHost, Node, NodeOptions, Told},
    rpc::{Identity, NoRandomness, Refusal, RemoteCall, Serve, Surroundings, System},
};

/// A machine whose clock goes as simulated time does.
struct Machine {
    begun: tokio::time::Instant,
    ahead: i64,
}

impl Surroundings for Machine {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        System.fill_random(bytes)
    }

    fn unix_now(&self) -> u64 {
        self.unix_millis() / 1000
    }

    fn unix_millis(&self) -> u64 {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        (1_800_000_000_000 + elapsed).saturating_add_signed(self.ahead * 1000)
    }
}

/// A host that runs one actor.
struct Runs;

impl Serve for Runs {
    fn serve(&self, _: HostId, _: RemoteCall) -> BoxFuture<'_, Result<bytes::Bytes, Refusal>> {
        Box::pin(async { Ok(bytes::Bytes::new()) })
    }
}

impl LocalHost for Runs {
    fn told(&self) -> Told {
        Told { actors: running(1, &[actor(1)]).actors, ..Told::default() }
    }
}

/// A lattice whose every beat is recorded.
struct Scene {
    bus: MemoryBus,
    begun: tokio::time::Instant,
    recorded: Subscription,
}

impl Scene {
    async fn new() -> Self {
        let bus = MemoryBus::new();
        let recorded = bus.subscribe("wasmbus.beat.default.*", None).await.unwrap();
        Self { bus, begun: tokio::time::Instant::now(), recorded }
    }

    async fn join(&self, n: u8, ahead: i64) -> (MemoryBus, Node) {
        let identity =
            Identity { lattice: "default".parse().unwrap(), host: id(n), cluster: cluster(1), issuers: vec![] };
        let surroundings = Arc::new(Machine { begun: self.begun, ahead });
        let (name, beat_every) = (format!("h{n}"), Duration::from_millis(500));
        let bus = self.bus.connect();
        let options = NodeOptions { identity, name, beat_every, surroundings };
        let node = Node::new(Arc::new(bus.clone()), options).await.unwrap();
        node.join(Arc::new(Runs)).await.unwrap();
        (bus, node)
    }

    fn clock(&self) -> u64 {
        Machine { begun: self.begun, ahead: 0 }.unix_now()
    }

    /// Returns the beats of one host, as they were sent.
    fn recorded_of(&mut self, n: u8) -> Vec<Message> {
        let all = std::iter::from_fn(|| self.recorded.next().now_or_never().flatten());
        all.filter(|beat| beat.subject.ends_with(&id(n).to_string())).collect()
    }

    async fn send_again(&self, beats: &[Message]) {
        for beat in beats {
            self.bus.publish(&beat.subject, None, &beat.headers, beat.payload.clone()).await.unwrap();
        }
    }

    /// Tells something as a stranger can: with no proof, or one by another key.
    async fn forge(&self, beat: &Beat) {
        let subject = subject::beat(&"default".parse().unwrap(), &beat.host.to_string());
        let body = serde_json::to_vec(beat).unwrap();
        let proof = Prover::new(Arc::new(cluster(2)), vec![]).unwrap().prove(&subject, &body);
        let other = cluster(2).public_key().to_string();
        let pretended = proof.1.replace(&other, &cluster(1).public_key().to_string());
        for headers in [vec![], vec![proof.clone()], vec![(proof.0.clone(), pretended)]] {
            self.bus.publish(&subject, None, &headers, body.clone().into()).await.unwrap();
        }
    }
}

fn id(n: u8) -> HostId {
    KeyPair::from_seed_bytes(KeyKind::Host, [n; 32]).unwrap().public_key().try_into().unwrap()
}

fn cluster(n: u8) -> KeyPair {
    KeyPair::from_seed_bytes(KeyKind::Cluster, [n; 32]).unwrap()
}

fn knows(node: &Node, n: u8) -> bool {
    node.directory().hosts().contains_key(&id(n))
}

#[tokio::test(start_paused = true)]
async fn a_stranger_neither_ends_nor_hides_a_host_nor_brings_others_nor_unsettles_the_leader() {
    let scene = Scene::new().await;
    let ((_, one), (_, two)) = (scene.join(1, 0).await, scene.join(2, 0).await);
    sleep(Duration::from_secs(8)).await;
    let leader = if one.leads().is_some() { &one } else { &two };
    let term = leader.leads().unwrap();
    for _ in 0..40 {
        let clock = scene.clock();
        for n in [1, 2] {
            let known = Beat { host: id(n), clock, ..fixtures::beat(n) };
            scene.forge(&Beat { incarnation: u64::MAX, ..known.clone() }).await;
            scene
                .forge(&Beat { incarnation: u64::MAX, greets: [(id(n), one.0.incarnation)].into(), ..known.clone() })
                .await;
            scene.forge(&Beat { incarnation: one.0.incarnation, version: u64::MAX, ..known.clone() }).await;
            scene.forge(&Beat { incarnation: one.0.incarnation, last: true, version: 99, ..known }).await;
        }
        for n in 11..=16 {
            scene.forge(&Beat { host: id(n), clock: clock + 1_000, ..running(n, &[actor(1)]) }).await;
        }
        sleep(Duration::from_millis(500)).await;
    }
    for node in [&one, &two] {
        assert!(!node.is_replaced());
        assert_eq!(
            node.directory().hosts().keys().copied().collect::<Vec<_>>(),
            BTreeMap::from([(id(1), ()), (id(2), ())]).into_keys().collect::<Vec<_>>()
        );
        assert_eq!(node.directory().actor_hosts(&actor(1)).len(), 2);
    }
    assert_eq!(leader.leads(), Some(term));
}

#[tokio::test(start_paused = true)]
async fn beats_that_are_sent_again_bring_no_dead_host_back() {
    let mut scene = Scene::new().await;
    let (_, one) = scene.join(1, 0).await;
    let (dying, two) = scene.join(2, 0).await;
    sleep(Duration::from_secs(10)).await;
    assert!(knows(&one, 2));
    dying.drain().await;
    drop(two);
    let beats = scene.recorded_of(2);
    assert!(beats.len() > 10, "{}", beats.len());
    // While it could still be there, and when it is known to be gone.
    for _ in 0..30 {
        scene.send_again(&beats).await;
        sleep(Duration::from_millis(300)).await;
    }
    assert!(!knows(&one, 2));
    for _ in 0..150 {
        scene.send_again(&beats).await;
        sleep(Duration::from_secs(1)).await;
        assert!(!knows(&one, 2));
    }
    // Nor for somebody who has never heard it.
    let (_, three) = scene.join(3, 0).await;
    sleep(Duration::from_secs(2)).await;
    scene.send_again(&beats).await;
    sleep(Duration::from_secs(2)).await;
    assert!(knows(&three, 1) && !knows(&three, 2));
}

#[tokio::test(start_paused = true)]
async fn a_beat_of_a_later_process_ends_an_earlier_one_only_if_it_has_heard_that() {
    let scene = Scene::new().await;
    let (_, one) = scene.join(1, 0).await;
    let later = |greets| Beat {
        host: id(1),
        incarnation: one.0.incarnation + 1,
        clock: scene.clock(),
        greets,
        ..fixtures::beat(1)
    };
    // Of a process that ended before this one began, when the clock was ahead.
    fixtures::tell(&scene.bus, "default", &later([(id(1), 7)].into())).await;
    sleep(Duration::from_secs(2)).await;
    assert!(!one.is_replaced());
    fixtures::tell(&scene.bus, "default", &later([(id(1), one.0.incarnation)].into())).await;
    tokio::time::timeout(Duration::from_secs(1), one.replaced()).await.unwrap();
    assert!(one.is_replaced());
}

#[tokio::test(start_paused = true)]
async fn hosts_whose_clocks_are_apart_know_each_other() {
    let scene = Scene::new().await;
    let ((_, one), (_, two)) = (scene.join(1, 0).await, scene.join(2, 300).await);
    sleep(Duration::from_secs(2)).await;
    assert!(knows(&one, 2) && knows(&two, 1));
}
