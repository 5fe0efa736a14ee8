//! Whole nodes over an in-process or simulated network: what becomes of them when the store or the network fails.

use wattle_bus::{
    Expect, MemoryBus,
    sim::{Cut, SimBus, SimNet},
};
use wattle_types::wascap::KeyKind;

use super::*;
use crate::{
    beat::Beat,
    fixtures::actor,
    rpc::{Refusal, RemoteCall, System},
    spec::{Bucket, DeclaredActor, LEADER_KEY, Target, to_bytes},
};

const LATTICE: &str = "LATTICEDATA_default";

/// A host that runs what is declared, or nothing.
struct Fake {
    runs: bool,
}

impl Serve for Fake {
    fn serve(&self, _: HostId, _: RemoteCall) -> wattle_types::BoxFuture<'_, Result<bytes::Bytes, Refusal>> {
        Box::pin(async { Ok(bytes::Bytes::new()) })
    }
}

impl LocalHost for Fake {
    fn told(&self) -> Told {
        let mut told = Told::default();
        if self.runs {
            let running = RunningActor {
                reference: "v1".into(),
                revision: 1,
                max_in_flight: 10,
                call_alias: None,
                declared: true,
                trial: None,
            };
            told.actors.insert(actor(1), running);
        }
        told
    }
}

/// A clock that is wrong.
struct Wrong {
    ahead: i64,
    begun: tokio::time::Instant,
}

impl Surroundings for Wrong {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), crate::rpc::NoRandomness> {
        System.fill_random(bytes)
    }

    fn unix_now(&self) -> u64 {
        (1_800_000_000 + self.begun.elapsed().as_secs()).saturating_add_signed(self.ahead)
    }
}

async fn node(bus: Arc<dyn Bus>, n: u8, runs: bool) -> Node {
    node_with(bus, n, runs, Arc::new(System)).await
}

async fn node_with(bus: Arc<dyn Bus>, n: u8, runs: bool, surroundings: Arc<dyn Surroundings>) -> Node {
    let key = |kind, n| KeyPair::from_seed_bytes(kind, [n; 32]).unwrap();
    let host = key(KeyKind::Host, n).public_key().try_into().unwrap();
    let lattice = "default".parse().unwrap();
    let identity = Identity { lattice, host, cluster: key(KeyKind::Cluster, 1), issuers: vec![] };
    let (name, beat_every) = (format!("h{n}"), Duration::from_millis(500));
    let options = NodeOptions { identity, name, beat_every, surroundings };
    let node = Node::new(bus, options).await.unwrap();
    node.join(Arc::new(Fake { runs })).await.unwrap();
    node
}

async fn leads_within(nodes: &[&Node], secs: u64) -> bool {
    for _ in 0..secs * 20 {
        if nodes.iter().any(|node| node.leads().is_some()) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_taken_anew() {
    let bus = MemoryBus::new();
    let one = node(Arc::new(bus.connect()), 1, false).await;
    let two = node(Arc::new(bus.connect()), 2, false).await;
    assert!(leads_within(&[&one, &two], 10).await);
    let store = bus.bucket(LATTICE).await.unwrap();
    for _ in 0..3 {
        store.delete(LEADER_KEY, Expect::Any).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(leads_within(&[&one, &two], 5).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_read_is_overwritten() {
    let bus = MemoryBus::new();
    let store = bus.bucket(LATTICE).await.unwrap();
    store.put(LEADER_KEY, "garbage".into(), Expect::Any).await.unwrap();
    let one = node(Arc::new(bus), 1, false).await;
    assert!(leads_within(&[&one], 5).await);
}

/// Three hosts of which the second runs the one actor that is declared, for once.
struct Scene {
    net: SimNet,
    buses: Vec<SimBus>,
    nodes: Vec<Node>,
    store: Arc<dyn wattle_bus::KvStore>,
    orders: wattle_bus::Subscription,
    _watcher: SimBus,
}

impl Scene {
    async fn new() -> Self {
        let net = SimNet::new(1);
        let watcher = net.connect("watcher");
        let store = watcher.bucket(LATTICE).await.unwrap();
        let declared = DeclaredActor { reference: "v1".into(), replicas: 1, ..DeclaredActor::default() };
        let key = Target::Actor(actor(1)).declared_key();
        store.put(&key, to_bytes(&declared).unwrap(), Expect::Any).await.unwrap();
        let buses: Vec<_> = (1..=3).map(|n| net.connect(&format!("h{n}"))).collect();
        let mut nodes = Vec::new();
        for (n, bus) in (1..).zip(&buses) {
            nodes.push(node(Arc::new(bus.clone()), n, n == 2).await);
        }
        tokio::time::sleep(Duration::from_secs(8)).await;
        let orders = watcher.subscribe("wasmbus.ctl.v1.default.wattle.*.*", None).await.unwrap();
        let scene = Self { net, buses, nodes, store, orders, _watcher: watcher };
        assert!(scene.leads().await);
        scene
    }

    async fn leads(&self) -> bool {
        leads_within(&self.nodes.iter().collect::<Vec<_>>(), 20).await
    }

    /// Returns what was ordered.
    fn ordered(&mut self) -> Vec<String> {
        let orders = std::iter::from_fn(|| futures::FutureExt::now_or_never(self.orders.next()).flatten());
        orders.map(|order| order.subject).collect()
    }

    fn declared(&self) -> Vec<usize> {
        self.nodes.iter().map(|node| node.shared().read(|data| data.actors().count())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_what_still_runs_is_not_started_again() {
    let mut scene = Scene::new().await;
    for bus in &scene.buses {
        bus.cut(Cut::Both);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(scene.nodes.iter().all(|node| !node.has_heard_all()));
    scene.buses[0].cut(Cut::None);
    scene.buses[2].cut(Cut::None);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert!(!scene.nodes[0].has_heard_all());
    scene.buses[1].cut(Cut::None);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(scene.leads().await && scene.nodes[0].has_heard_all());
    assert_eq!(scene.ordered(), [""; 0]);
    // Who does not come back is missed.
    scene.buses[1].crash();
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(!scene.ordered().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_off_takes_nobody_for_gone_and_no_calls_until_it_has_heard_the_caller() {
    let scene = Scene::new().await;
    let [caller, cut_off] = [scene.nodes[0].0.host, scene.nodes[1].0.host];
    let knows = |host: HostId| scene.nodes[1].directory().hosts().contains_key(&host);
    assert!(scene.nodes[1].is_up_to_date_with(&caller));
    // Its bus does not notice.
    scene.buses[1].cut(Cut::Down);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(scene.buses[1].is_connected() && scene.nodes[0].directory().hosts().contains_key(&cut_off));
    assert!(knows(caller) && !scene.nodes[1].is_up_to_date_with(&caller));
    scene.buses[1].cut(Cut::None);
    let mut waited = Duration::ZERO;
    while !scene.nodes[1].is_up_to_date_with(&caller) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        waited += Duration::from_millis(10);
    }
    assert!((Duration::from_millis(10)..Duration::from_millis(800)).contains(&waited), "{waited:?}");
    assert!(knows(caller) && knows(scene.nodes[2].0.host));
    // One that really went silent is missed all the same.
    scene.buses[2].crash();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!knows(scene.nodes[2].0.host) && knows(caller));
}

#[tokio::test(start_paused = true)]
async fn who_was_forgotten_while_cut_off_is_known_as_soon_as_it_is_back() {
    for (cut, secs) in [(Cut::Both, 30), (Cut::Up, 30), (Cut::Down, 30), (Cut::Both, 14)] {
        let scene = Scene::new().await;
        let cut_off = scene.nodes[1].0.host;
        let knows = |n: usize| scene.nodes[n].directory().actor_hosts(&actor(1)).contains(&cut_off);
        scene.buses[1].cut(cut);
        tokio::time::sleep(Duration::from_secs(secs)).await;
        assert_eq!([knows(0), knows(2)], [cut == Cut::Down; 2], "{cut:?}");
        scene.buses[1].cut(Cut::None);
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!([knows(0), knows(2)], [true; 2], "{cut:?} for {secs} s");
    }
}

/// Returns what a host has told since.
fn told(beats: &mut wattle_bus::Subscription) -> Vec<Beat> {
    let told = std::iter::from_fn(|| futures::FutureExt::now_or_never(beats.next()).flatten());
    told.map(|told| Beat::parse(&told.payload).unwrap()).collect()
}

async fn tell(bus: &MemoryBus, beat: &Beat) {
    crate::fixtures::tell(bus, "default", &Beat { clock: crate::fixtures::unix_now(), ..beat.clone() }).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_heard_and_not_known_is_asked_who_he_is_until_he_tells() {
    let bus = MemoryBus::new();
    let one = node(Arc::new(bus.connect()), 1, false).await;
    let subject = wattle_types::subject::beat(&one.0.lattice, &one.0.host.to_string());
    let mut beats = bus.subscribe(&subject, None).await.unwrap();
    let strangers: Vec<_> = (11..=100).map(|n| Beat { brief: true, ..crate::fixtures::beat(n) }).collect();
    for stranger in &strangers {
        tell(&bus, stranger).await;
    }
    tell(&bus, &Beat { brief: false, ..strangers[0].clone() }).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let asked: Vec<usize> = told(&mut beats).iter().map(|beat| beat.asks.len()).filter(|asked| *asked > 0).collect();
    assert_eq!(asked, [63], "as many as one beat asks, but for the one who told");
    // With each beat of his, for as long as he does not tell.
    tell(&bus, &strangers[1]).await;
    tell(&bus, &strangers[1]).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let asked: Vec<HostId> = told(&mut beats).into_iter().flat_map(|beat| beat.asks).collect();
    assert_eq!(asked, [strangers[1].host]);
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_tells_all_of_himself() {
    let bus = MemoryBus::new();
    let one = node(Arc::new(bus.connect()), 1, false).await;
    let subject = wattle_types::subject::beat(&one.0.lattice, &one.0.host.to_string());
    let mut beats = bus.subscribe(&subject, None).await.unwrap();
    let of = |n| Beat { asks: [crate::fixtures::host(n)].into(), ..crate::fixtures::beat(2) };
    tell(&bus, &of(1)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let wholes = |beats: &mut wattle_bus::Subscription| told(beats).iter().filter(|beat| !beat.brief).count();
    wholes(&mut beats);
    for (asked, expected) in [(one.0.host, 1), (crate::fixtures::host(3), 0)] {
        tell(&bus, &Beat { asks: [asked].into(), ..crate::fixtures::beat(2) }).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(wholes(&mut beats), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_deaf_while_another_came_back_learns_of_it() {
    let scene = Scene::new().await;
    let cut_off = scene.nodes[1].0.host;
    let knows = |n: usize| scene.nodes[n].directory().actor_hosts(&actor(1)).contains(&cut_off);
    scene.buses[1].cut(Cut::Up);
    tokio::time::sleep(Duration::from_secs(9)).await;
    scene.buses[0].cut(Cut::Down);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // It tells what it runs, and the other one hears nothing of it.
    scene.buses[1].cut(Cut::None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!([knows(0), knows(2)], [false, true]);
    scene.buses[0].cut(Cut::None);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!([knows(0), knows(2)], [true; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_written_back_and_nothing_is_stopped() {
    let mut scene = Scene::new().await;
    let key = Target::Actor(actor(1)).declared_key();
    let before = scene.store.get(&key).await.unwrap().unwrap().value;
    scene.net.lose_bucket("LATTICEDATA_default");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(scene.leads().await);
    assert_eq!(scene.declared(), [1; 3]);
    assert_eq!(scene.store.get(&key).await.unwrap().map(|entry| entry.value), Some(before));
    assert_eq!(scene.ordered(), [""; 0]);
    // Once it is written back, it can be deleted.
    scene.store.delete(&key, Expect::Any).await.unwrap();
    scene.net.restart_broker();
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(scene.declared(), [0; 3]);
    assert!(scene.leads().await);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_signature_hosts_refuse_leaves_it_to_others() {
    let net = SimNet::new(1);
    let refusing = net.connect("refusing");
    let key = |n| KeyPair::from_seed_bytes(KeyKind::Host, [n; 32]).unwrap().public_key().to_string();
    // Nobody takes the first host's orders; those of others are not answered.
    let mut orders = refusing.subscribe("wasmbus.ctl.v1.default.wattle.*.*", None).await.unwrap();
    let declared = DeclaredActor { reference: "v1".into(), replicas: 3, ..DeclaredActor::default() };
    let store = refusing.bucket(LATTICE).await.unwrap();
    let first = node(Arc::new(net.connect("h1")), 1, false).await;
    assert!(leads_within(&[&first], 5).await);
    let (two, three) =
        (node(Arc::new(net.connect("h2")), 2, false).await, node(Arc::new(net.connect("h3")), 3, false).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    store.put(&Target::Actor(actor(1)).declared_key(), to_bytes(&declared).unwrap(), Expect::Any).await.unwrap();
    let refusal = serde_json::json!({
        "progress": "failed", "code": "request_not_permitted", "message": "the clock",
    });
    let answering = async {
        let mut refused = BTreeSet::new();
        while refused.len() < 2 {
            let order = orders.next().await.unwrap();
            let host = order.subject.rsplit('.').next().unwrap().to_owned();
            if host != key(1) {
                refusing.publish(&order.reply.unwrap(), None, &[], refusal.to_string().into()).await.unwrap();
                refused.insert(host);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answering).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(first.leads(), None);
    assert!(leads_within(&[&two, &three], 5).await);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_is_no_change_of_links() {
    let bus = MemoryBus::new();
    let one = node(Arc::new(bus.connect()), 1, false).await;
    let (mut links, changes) = (one.shared().link_changes(), one.shared().changes());
    let before = changes.borrow();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(changes.borrow() > before + 5, "the lease was renewed");
    let none = tokio::time::timeout(Duration::ZERO, links.changed()).await;
    assert!(none.is_err());
    let config = one.shared().store(Bucket::Config);
    config.put("prod", "{}".into(), Expect::Any).await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), links.changed()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_cannot_open_the_shared_state_leaves_no_task_behind() {
    let net = SimNet::new(1);
    let bus = net.connect("h1");
    let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
    // The buckets are there, and one is watched; then nothing comes any more.
    for name in [LATTICE, "CONFIGDATA_default"] {
        bus.bucket(name).await.unwrap();
    }
    let cutting = async {
        while tasks.is_empty() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        bus.cut(Cut::Both);
    };
    let lattice = "default".parse().unwrap();
    let (opened, ()) = tokio::join!(Shared::open(&bus, &lattice, &tasks, &end), cutting);
    assert!(opened.is_err());
    tasks.close();
    tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await.expect("no task is left");
    assert!(!end.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_host_with_a_wrong_clock_leaves_leading_to_those_who_agree() {
    let net = SimNet::new(1);
    let begun = tokio::time::Instant::now();
    let join = async |n: u8, ahead: i64| {
        let bus = Arc::new(net.connect(&format!("h{n}")));
        node_with(bus, n, false, Arc::new(Wrong { ahead, begun })).await
    };
    let wrong = join(1, 95).await;
    assert!(leads_within(&[&wrong], 5).await);
    // Two that disagree cannot tell who is wrong: whoever leads stays.
    let two = join(2, 0).await;
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(wrong.leads().is_some() && two.leads().is_none());
    }
    // A third one decides.
    let three = join(3, 3).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(wrong.leads().is_none() && leads_within(&[&two, &three], 5).await);
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(wrong.leads().is_none() && leads_within(&[&two, &three], 1).await);
    }
}

/// A link of the actor, under a name.
fn named_link(name: &str) -> crate::spec::LinkSpec {
    let (contract, link_name) = ("wasmcloud:keyvalue".parse().unwrap(), name.parse().unwrap());
    let key = wattle_types::LinkKey { actor: actor(1), contract, link_name };
    let provider = crate::fixtures::provider("kv");
    crate::spec::LinkSpec::new(wattle_types::LinkDefinition { key, provider, values: Default::default() })
}

/// How many links the store has of the actor.
async fn links_stored(scene: &Scene) -> usize {
    let key = named_link("a").entry_key();
    let Some(entry) = scene.store.get(&key).await.unwrap() else { return 0 };
    match crate::spec::parse(Bucket::Lattice, &key, &entry.value) {
        crate::spec::Entry::Component(component) => component.links.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_what_the_store_has_lost_begins_with_what_is_known_of_it() {
    for is_purged in [true, false] {
        let scene = Scene::new().await;
        let shared = |n: usize| scene.nodes[n].shared();
        for name in ["a", "b"] {
            shared(0).put_link(&named_link(name), false).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        if is_purged {
            scene.net.purge_bucket(LATTICE)
        } else {
            scene.net.lose_bucket(LATTICE)
        }
        // At once, at a host that may not know it yet.
        shared(2).put_link(&named_link("c"), false).await.unwrap();
        assert_eq!(links_stored(&scene).await, 3, "purged: {is_purged}");
        assert!(shared(1).delete_link(&named_link("a").definition.key).await.unwrap());
        assert_eq!(links_stored(&scene).await, 2, "purged: {is_purged}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(links_stored(&scene).await, 2, "purged: {is_purged}");
        assert_eq!([0, 1, 2].map(|n| shared(n).read(|data| data.links().count())), [2; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_purged_store_is_written_back_within_seconds() {
    let mut scene = Scene::new().await;
    let config = scene.buses[0].bucket("CONFIGDATA_default").await.unwrap();
    config.put("c", r#"{"a":"1"}"#.into(), Expect::Absent).await.unwrap();
    let key = Target::Actor(actor(1)).declared_key();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (bucket, secs) in [(LATTICE, 3), ("CONFIGDATA_default", 7)] {
        scene.net.purge_bucket(bucket);
        tokio::time::sleep(Duration::from_secs(secs)).await;
        assert!(scene.store.get(&key).await.unwrap().is_some(), "{bucket}");
        assert!(config.get("c").await.unwrap().is_some(), "{bucket}");
    }
    assert!(scene.leads().await);
    assert_eq!((scene.declared(), scene.ordered()), (vec![1; 3], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_term_that_cannot_be_is_not_taken_on() {
    let bus = MemoryBus::new();
    let one = node(Arc::new(bus.connect()), 1, false).await;
    assert!(leads_within(&[&one], 5).await);
    let store = bus.bucket(LATTICE).await.unwrap();
    let held = store.get(LEADER_KEY).await.unwrap().unwrap();
    let mut lease: serde_json::Value = serde_json::from_slice(&held.value).unwrap();
    lease["term"] = u64::MAX.into();
    store.put(LEADER_KEY, lease.to_string().into(), Expect::Any).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let two = node(Arc::new(bus.connect()), 2, false).await;
    one.leave(Duration::from_secs(1)).await;
    assert!(leads_within(&[&two], 10).await);
    assert!(two.leads().unwrap() <= crate::leader::TERM_MAX);
}
