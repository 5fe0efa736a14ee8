//! Nodes that call each other on paused time, some of them started again or twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use wattle_bus::{Bus, MemoryBus, sim::SimNet};
use wattle_types::{
    BoxFuture, CallContext, ErrorKind,
    wascap::{KeyKind, KeyPair},
};

use super::*;
use crate::{
    beat::{RunningActor, RunningProvider},
    fixtures::actor,
    node::{LocalHost, NodeOptions, Told},
    rpc::{Identity, NoRandomness, Origin, Refusal, Serve, Surroundings, System},
};

/// A clock that shows another millisecond each time.
struct Clock;

impl Surroundings for Clock {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        System.fill_random(bytes)
    }

    fn unix_now(&self) -> u64 {
        1_800_000_000
    }

    fn unix_millis(&self) -> u64 {
        static READ: AtomicU64 = AtomicU64::new(1_800_000_000_000);
        READ.fetch_add(1, Ordering::Relaxed)
    }
}

/// Runs one actor, whose calls take so long, and counts them. Without a time it runs nothing.
#[derive(Default)]
struct Slow {
    takes: Option<Duration>,
    label: String,
    /// How many providers with long references it tells of.
    providers: AtomicUsize,
    runs: AtomicUsize,
    /// It says that its actor runs, and refuses every call, for this reason.
    refuses: Option<&'static str>,
    refused: AtomicUsize,
}

impl Serve for Slow {
    fn serve(&self, _from: HostId, _call: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        Box::pin(async {
            if let Some(code) = self.refuses {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Refusal::not_run(code, ErrorKind::Unavailable, "not here"));
            }
            self.runs.fetch_add(1, Ordering::Relaxed);
            sleep(self.takes.unwrap_or_default()).await;
            Ok(Bytes::from_static(b"done"))
        })
    }
}

impl LocalHost for Slow {
    fn told(&self) -> Told {
        let running = RunningActor {
            reference: "v1".into(),
            trial: None,
            revision: 1,
            max_in_flight: 10,
            call_alias: None,
            declared: false,
        };
        let labels = [("zone".to_owned(), self.label.clone())].into();
        let provider = |n| {
            let reference = "x".repeat(2000);
            let running = RunningProvider { reference, declared: false, repeatable: Default::default() };
            (format!("p{n}").parse().unwrap(), running)
        };
        let providers = (0..self.providers.load(Ordering::Relaxed)).map(provider).collect();
        let actors = self.takes.map(|_| (actor(9), running)).into_iter().collect();
        Told { draining: false, labels, actors, providers }
    }
}

fn idle() -> Arc<Slow> {
    Arc::default()
}

fn runs_for(secs: u64) -> Arc<Slow> {
    Arc::new(Slow { takes: Some(Duration::from_secs(secs)), ..Slow::default() })
}

fn id(n: u8) -> HostId {
    KeyPair::from_seed_bytes(KeyKind::Host, [n; 32]).unwrap().public_key().try_into().unwrap()
}

async fn node(bus: impl Bus, n: u8) -> Node {
    let cluster = KeyPair::from_seed_bytes(KeyKind::Cluster, [1; 32]).unwrap();
    let identity = Identity { lattice: "test".parse().unwrap(), host: id(n), cluster, issuers: Vec::new() };
    let options = NodeOptions {
        identity,
        name: format!("host-{n}"),
        beat_every: Duration::from_millis(500),
        surroundings: Arc::new(Clock),
    };
    Node::new(Arc::new(bus), options).await.unwrap()
}

async fn join(bus: impl Bus, n: u8, host: &Arc<Slow>) -> Node {
    let node = node(bus, n).await;
    node.join(host.clone()).await.unwrap();
    node
}

fn call_for(secs: u64) -> RemoteCall {
    RemoteCall {
        origin: Origin::Host,
        target: Target::Actor { actor: actor(9), link: None },
        operation: "Do".into(),
        payload: Bytes::new(),
        context: CallContext::new(Deadline::after(now(), Duration::from_secs(secs))),
    }
}

/// Beats have been heard.
async fn known() {
    sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_with_one_key_the_later_stays_and_runs_each_call_once() {
    let bus = MemoryBus::new();
    let one = join(bus.connect(), 1, &idle()).await;
    let (first, second) = (runs_for(0), runs_for(0));
    let earlier = join(bus.connect(), 2, &first).await;
    known().await;
    one.call(call_for(5), false).await.unwrap();
    let later = join(bus.connect(), 2, &second).await;
    known().await;
    for _call in 0..5 {
        assert_eq!(one.call(call_for(5), false).await.unwrap(), "done");
    }
    assert_eq!([&first, &second].map(|host| host.runs.load(Ordering::Relaxed)), [1, 5]);
    assert!(earlier.0.left.is_cancelled() && !later.0.left.is_cancelled());
    assert_eq!(one.incarnation(&id(2)), Some(later.0.incarnation));
    assert_eq!(later.incarnation(&id(2)), Some(later.0.incarnation));
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_with_our_key_tells_is_nothing() {
    let bus = MemoryBus::new();
    let node = join(bus.connect(), 1, &idle()).await;
    known().await;
    for (incarnation, last) in [(node.0.incarnation - 1, false), (node.0.incarnation + 1, true)] {
        let clock = crate::fixtures::unix_now();
        let beat = crate::beat::Beat { host: id(1), incarnation, last, clock, ..crate::fixtures::beat(1) };
        crate::fixtures::tell(&bus, "test", &beat).await;
    }
    known().await;
    assert!(!node.0.left.is_cancelled());
    assert_eq!(node.incarnation(&id(1)), Some(node.0.incarnation));
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_host_that_is_started_again_does_not_hang() {
    let net = SimNet::new(1);
    let one = join(net.connect("one"), 1, &idle()).await;
    let old = net.connect("two");
    let _dead = join(old.clone(), 2, &runs_for(100)).await;
    known().await;
    let calling = one.call(call_for(60), false);
    tokio::pin!(calling);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut calling).await.is_err());
    old.crash();
    let begun = Instant::now();
    let _again = join(net.connect("two"), 2, &runs_for(0)).await;
    let failed = calling.await.unwrap_err();
    assert!(failed.to_string().contains("started again"), "{failed}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// Joins hosts that say they run the actor and refuse its calls.
async fn refusing(
    bus: &MemoryBus,
    numbers: std::ops::RangeInclusive<u8>,
    code: &'static str,
) -> (Arc<Slow>, Vec<Node>) {
    let host = Arc::new(Slow { refuses: Some(code), takes: Some(Duration::ZERO), ..Slow::default() });
    let mut nodes = Vec::new();
    for n in numbers {
        nodes.push(join(bus.connect(), n, &host).await);
    }
    (host, nodes)
}

#[tokio::test(start_paused = true)]
async fn three_hosts_are_asked_and_those_that_do_not_run_it_any_more_are_not_counted() {
    for (code, count) in [("overloaded", 2), ("actor_not_found", 6), ("provider_unavailable", 6), ("draining", 6)] {
        let bus = MemoryBus::new();
        let one = join(bus.connect(), 1, &idle()).await;
        let _others = refusing(&bus, 2..=1 + count, code).await;
        let there = runs_for(0);
        let _there = join(bus.connect(), 100, &there).await;
        known().await;
        for _call in 0..20 {
            assert_eq!(one.call(call_for(5), false).await.unwrap(), "done", "{code}");
        }
        assert_eq!(there.runs.load(Ordering::Relaxed), 20);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_all_hosts_refuse_ends_after_three() {
    let bus = MemoryBus::new();
    let one = join(bus.connect(), 1, &idle()).await;
    let (host, _nodes) = refusing(&bus, 2..=7, "overloaded").await;
    known().await;
    let failed = one.call(call_for(5), false).await.unwrap_err();
    assert_eq!(failed.code(), "overloaded");
    assert_eq!(host.refused.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_repeatable_call_has_all_its_time_when_only_one_host_can_take_it() {
    let bus = MemoryBus::new();
    let one = join(bus.connect(), 1, &idle()).await;
    let slow = runs_for(4);
    let _two = join(bus.connect(), 2, &slow).await;
    known().await;
    assert_eq!(one.call(call_for(5), true).await.unwrap(), "done");
    assert!(one.call(call_for(3), true).await.is_err());
    assert_eq!(slow.runs.load(Ordering::Relaxed), 2, "one for each call");
    let _three = join(bus.connect(), 3, &slow).await;
    known().await;
    assert!(one.call(call_for(5), true).await.is_err());
    assert_eq!(slow.runs.load(Ordering::Relaxed), 4, "half of the time for each host");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_tells_too_much_is_heard_without_it() {
    let bus = MemoryBus::new();
    let one = join(bus.connect(), 1, &idle()).await;
    let zone = |node: &Node, n| node.directory().hosts().get(&id(n)).map(|known| known.beat.labels.len());
    for (n, len, heard) in [(2, 1024, Some(1)), (3, 1025, Some(0)), (4, 2_000_000, Some(0))] {
        let _chatty = join(bus.connect(), n, &Arc::new(Slow { label: "x".repeat(len), ..Slow::default() })).await;
        known().await;
        assert_eq!(zone(&one, n), heard, "{len}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_runs_more_than_fits_a_message_stays_with_what_was_heard_before() {
    let bus = MemoryBus::new();
    let one = join(bus.connect(), 1, &idle()).await;
    let growing = runs_for(0);
    let two = join(bus.connect(), 2, &growing).await;
    known().await;
    growing.providers.store(1000, Ordering::Relaxed);
    two.changed();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(one.call(call_for(5), false).await.unwrap(), "done");
    growing.providers.store(1, Ordering::Relaxed);
    two.changed();
    known().await;
    assert_eq!(one.directory().hosts()[&id(2)].beat.providers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_beats_the_bus_has_ended_hears_them_again() {
    let bus = MemoryBus::new();
    let connection = bus.connect();
    let ended = connection.subscribe("nothing", None).await.unwrap();
    connection.drain().await;
    let one = node(bus.connect(), 1).await;
    let _two = join(bus.connect(), 2, &idle()).await;
    let hearing = crate::node::beats::hear(one.clone(), idle(), ended);
    assert!(tokio::time::timeout(Duration::from_secs(5), hearing).await.is_err());
    assert!(one.directory().hosts().contains_key(&id(2)));
}

#[tokio::test(start_paused = true)]
async fn black_holes_that_claim_to_run_it_take_no_call_that_another_can() {
    let bus = MemoryBus::new();
    let one = join(bus.connect(), 1, &idle()).await;
    let runs = runs_for(0);
    let _two = join(bus.connect(), 2, &runs).await;
    let mut silent = Vec::new();
    for n in 11..=20 {
        let host = crate::fixtures::host(n);
        silent.push(bus.subscribe(&wattle_types::subject::rpc_host(&one.0.lattice, &host), None).await.unwrap());
        let told = crate::fixtures::running(n, &[actor(9)]);
        let told = crate::beat::Beat { clock: Clock.unix_now(), interval_ms: 60_000, ..told };
        crate::fixtures::tell(&bus, "test", &told).await;
    }
    known().await;
    assert_eq!(one.directory().actor_hosts(&actor(9)).len(), 11);
    let begun = Instant::now();
    for call in 0..30 {
        assert!(one.call(call_for(30), false).await.is_ok(), "{call}");
    }
    assert_eq!(runs.runs.load(Ordering::Relaxed), 30);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // A host that proves itself takes its share.
    let another = runs_for(0);
    let _three = join(bus.connect(), 3, &another).await;
    known().await;
    for _ in 0..200 {
        one.call(call_for(30), false).await.unwrap();
    }
    assert!(another.runs.load(Ordering::Relaxed) > 50);
}
