//! What a lattice costs that only stands there: messages, bytes and memory at 3, 30 and 300 hosts, in one process.
//!
//! Run by `cargo run --release -p wattle-lattice --example scale`; the figures are in `docs/scale.md`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt as _;
use wattle_bus::{Bus, BusError, KvError, KvStore, Message, Subscription, sim::SimNet};
use wattle_lattice::{
    beat::{RunningActor, RunningProvider},
    node::{LocalHost, Node, NodeOptions, Told},
    rpc::{Identity, NoRandomness, Refusal, RemoteCall, Serve, Surroundings},
    spec::{Bucket, LinkSpec, put_link},
};
use wattle_types::{
    ActorId, BoxFuture, ErrorKind, HostId, LatticeId, LinkDefinition, LinkKey,
    wascap::{KeyKind, KeyPair},
};

/// What each host runs.
const ACTORS: usize = 10;
const PROVIDERS: usize = 2;
/// How long it is watched, in simulated time.
const WATCHED: Duration = Duration::from_secs(20);

/// Counts what one bus carries.
#[derive(Default)]
struct Traffic {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
}

struct Counted<B> {
    bus: B,
    traffic: Arc<Traffic>,
}

impl<B: Bus> Bus for Counted<B> {
    fn publish<'a>(
        &'a self,
        subject: &'a str,
        reply: Option<&'a str>,
        headers: &'a [(String, String)],
        payload: Bytes,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.traffic.sent_bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
        self.bus.publish(subject, reply, headers, payload)
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        headers: &'a [(String, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Message, BusError>> {
        self.traffic.sent.fetch_add(1, Ordering::Relaxed);
        self.bus.request(subject, headers, payload, timeout)
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, BusError>> {
        Box::pin(async move {
            let (messages, traffic) = (self.bus.subscribe(subject, queue).await?, self.traffic.clone());
            Ok(Subscription::new(messages.inspect(move |message| {
                traffic.received.fetch_add(1, Ordering::Relaxed);
                traffic.received_bytes.fetch_add(message.payload.len() as u64, Ordering::Relaxed);
            })))
        })
    }

    fn new_inbox(&self) -> String {
        self.bus.new_inbox()
    }

    fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>> {
        self.bus.bucket(name)
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        self.bus.drain()
    }
}

/// A host that runs what it was told to tell, and takes no calls.
struct Idle(Told);

impl LocalHost for Idle {
    fn told(&self) -> Told {
        self.0.clone()
    }
}

impl Serve for Idle {
    fn serve(&self, _: HostId, _: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        Box::pin(async { Err(Refusal::not_run("actor_not_found", ErrorKind::Unavailable, "idle")) })
    }
}

/// Counts up where a machine would be random.
struct Counting(AtomicU64);

impl Surroundings for Counting {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(next.get(..chunk.len()).ok_or(NoRandomness)?);
        }
        Ok(())
    }

    fn unix_now(&self) -> u64 {
        1_800_000_000
    }
}

fn key(kind: KeyKind, number: usize) -> Result<KeyPair, Box<dyn std::error::Error>> {
    let mut seed = [0; 32];
    for (place, byte) in seed.iter_mut().zip(number.to_le_bytes()) {
        *place = byte;
    }
    Ok(KeyPair::from_seed_bytes(kind, seed)?)
}

fn told(number: usize) -> Result<Told, Box<dyn std::error::Error>> {
    let mut actors = BTreeMap::new();
    for index in 0..ACTORS {
        let id: ActorId = key(KeyKind::Module, number * ACTORS + index)?.public_key().try_into()?;
        let running = RunningActor {
            reference: format!("https://modules.example/shop/cart-{index}.wasm#sha256={}", "0".repeat(64)),
            trial: None,
            revision: 1,
            max_in_flight: 256,
            call_alias: None,
            declared: true,
        };
        actors.insert(id, running);
    }
    let provider = |index: usize| {
        let reference = "builtin:keyvalue-redis".to_owned();
        let running = RunningProvider { reference, declared: true, repeatable: Default::default() };
        Ok((format!("store-{index}").parse()?, running))
    };
    let providers = (0..PROVIDERS).map(provider).collect::<Result<_, Box<dyn std::error::Error>>>()?;
    Ok(Told { actors, providers, labels: BTreeMap::from([("zone".into(), "a".into())]), ..Told::default() })
}

/// Returns the memory this process has, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

async fn measure(hosts: usize) -> Result<(), Box<dyn std::error::Error>> {
    let net = SimNet::new(1);
    let (before, traffic) = (resident(), Arc::new(Traffic::default()));
    let surroundings = Arc::new(Counting(AtomicU64::new(1)));
    let mut nodes = Vec::new();
    for number in 0..hosts {
        let bus = Counted { bus: net.connect(&format!("host-{number}")), traffic: traffic.clone() };
        let identity = Identity {
            lattice: LatticeId::default(),
            host: key(KeyKind::Host, number)?.public_key().try_into()?,
            cluster: key(KeyKind::Cluster, 0)?,
            issuers: Vec::new(),
        };
        let options = NodeOptions {
            identity,
            name: format!("host-{number}"),
            beat_every: Duration::from_millis(500),
            surroundings: surroundings.clone(),
        };
        let node = Node::new(Arc::new(bus), options).await?;
        node.join(Arc::new(Idle(told(number)?))).await?;
        nodes.push(node);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let counts = |traffic: &Traffic| {
        [&traffic.sent, &traffic.sent_bytes, &traffic.received, &traffic.received_bytes]
            .map(|count| count.load(Ordering::Relaxed))
    };
    let (start, begun) = (counts(&traffic), Instant::now());
    tokio::time::sleep(WATCHED).await;
    let (end, took) = (counts(&traffic), begun.elapsed());
    let known = nodes.first().map_or(0, |node| node.directory().hosts().len());
    let per_host = |index: usize| {
        let counted = end.get(index).zip(start.get(index)).map_or(0, |(end, start)| end - start);
        counted as f64 / hosts as f64 / WATCHED.as_secs_f64()
    };
    #[expect(clippy::print_stdout, reason = "what this program is for")]
    {
        println!(
            "{hosts:>5} hosts ({known} known): each sends {:.1} msg/s ({:.1} kB/s), hears {:.0} msg/s ({:.0} kB/s); \
             {:.0} kB of memory and {:.2} ms of CPU a second each",
            per_host(0),
            per_host(1) / 1000.0,
            per_host(2),
            per_host(3) / 1000.0,
            resident().saturating_sub(before) as f64 / hosts as f64 / 1000.0,
            took.as_secs_f64() * 1000.0 / hosts as f64 / WATCHED.as_secs_f64(),
        );
    }
    // One link, put on one host: how long until every host has it.
    if let Some(node) = nodes.first() {
        let key = LinkKey {
            actor: key(KeyKind::Module, 0)?.public_key().try_into()?,
            contract: "wasmcloud:keyvalue".parse()?,
            link_name: Default::default(),
        };
        let definition = LinkDefinition { key: key.clone(), provider: "store-0".parse()?, values: BTreeMap::new() };
        let spec = LinkSpec::new(definition);
        let put = tokio::time::Instant::now();
        let edit = |current: Option<&[u8]>| put_link(current, &spec, false);
        node.shared().edit(Bucket::Lattice, &spec.entry_key(), edit).await?;
        while nodes.iter().any(|node| node.shared().read(|data| data.link(&key).is_none())) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        #[expect(clippy::print_stdout, reason = "what this program is for")]
        {
            println!("      a link put on one is on all after {:?} of network time", put.elapsed());
        }
    }
    for node in &nodes {
        node.leave(Duration::ZERO).await;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for hosts in [3, 30, 300] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(measure(hosts))?;
    }
    Ok(())
}
