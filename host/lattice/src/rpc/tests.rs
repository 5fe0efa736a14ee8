//! Hosts that call each other over a bus in memory, on paused time.
//!
//! What only a liar would send comes from a [`raw::RawPeer`], which has real sessions and writes its messages by hand.

mod calls;
mod failures;
mod forgeries;
mod golden;
mod long;
mod raw;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use wattle_bus::{Bus, MemoryBus, Subscription};
use wattle_types::{
    ActorId, BoxFuture, CallContext, Deadline, ErrorKind, HostId, LinkKey, subject,
    wascap::{KeyKind, KeyPair, PublicKey},
};

use super::*;

/// Random bytes from a seed, and a clock that follows tokio's.
struct Seeded {
    state: AtomicU64,
    began: Instant,
    unix_began: u64,
}

impl Seeded {
    fn new(seed: u64, unix_began: u64) -> Arc<Self> {
        Arc::new(Self { state: AtomicU64::new(seed << 32), began: Instant::now(), unix_began })
    }
}

impl Surroundings for Seeded {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for byte in bytes {
            let state = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            *byte = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB).to_be_bytes()[0];
        }
        Ok(())
    }

    fn unix_now(&self) -> u64 {
        self.unix_began + self.began.elapsed().as_secs()
    }

    fn unix_millis(&self) -> u64 {
        self.unix_now() * 1000
    }
}

fn key(kind: KeyKind, seed: u8) -> PublicKey {
    KeyPair::from_seed_bytes(kind, [seed; 32]).unwrap().public_key()
}

fn host(seed: u8) -> HostId {
    key(KeyKind::Host, seed).try_into().unwrap()
}

fn actor(seed: u8) -> ActorId {
    key(KeyKind::Module, seed).try_into().unwrap()
}

fn link(seed: u8) -> LinkKey {
    LinkKey {
        actor: actor(seed),
        contract: "wasmcloud:keyvalue".parse().unwrap(),
        link_name: "default".parse().unwrap(),
    }
}

/// A host with a cluster key of its own, which trusts those of hosts 1 to 8.
fn identity(seed: u8) -> Identity {
    Identity {
        lattice: "test".parse().unwrap(),
        host: host(seed),
        cluster: KeyPair::from_seed_bytes(KeyKind::Cluster, [seed; 32]).unwrap(),
        issuers: (1..=8).map(|seed| key(KeyKind::Cluster, seed)).collect(),
    }
}

/// Random bytes differ with every start, as they would.
fn start_with(bus: impl Bus, identity: Identity, limits: Limits) -> Rpc {
    static STARTS: AtomicU64 = AtomicU64::new(1);
    let seed = STARTS.fetch_add(1, Ordering::Relaxed);
    Rpc::new(Arc::new(bus), identity, Seeded::new(seed, 1_800_000_000), limits)
}

fn start(bus: &MemoryBus, seed: u8) -> Rpc {
    start_with(bus.connect(), identity(seed), Limits::default())
}

fn call_of(payload: impl Into<Bytes>) -> RemoteCall {
    let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(2));
    RemoteCall {
        origin: Origin::Actor(actor(10)),
        target: Target::Actor { actor: actor(11), link: None },
        operation: "Do".into(),
        payload: payload.into(),
        context: CallContext::new(deadline),
    }
}

/// Answers calls, and counts and remembers them.
#[derive(Default)]
struct Server {
    begun: AtomicUsize,
    last: Mutex<Option<(HostId, RemoteCall)>>,
    /// Runs until there is one: calls `wait`.
    gate: tokio::sync::Notify,
}

impl Server {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    async fn run(&self, from: HostId, call: RemoteCall) -> Result<Bytes, Refusal> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let payload = call.payload.clone();
        let operation = call.operation.clone();
        *self.last.lock().unwrap() = Some((from, call));
        match operation.as_str() {
            "wait" => self.gate.notified().await,
            "missing" => return Err(Refusal::not_run("actor_not_found", ErrorKind::Unavailable, "no such actor")),
            "trap" => {
                let refusal = Refusal::not_run("guest_trapped", ErrorKind::Guest, "unreachable");
                return Err(Refusal { executed: true, ..refusal });
            }
            _ => {}
        }
        Ok(payload)
    }
}

impl Serve for Server {
    fn serve(&self, from: HostId, call: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        Box::pin(self.run(from, call))
    }
}

/// Hosts 1, which calls, and 2, which serves.
async fn pair(bus: &MemoryBus, limits: Limits) -> (Rpc, Rpc, Arc<Server>) {
    let server = Arc::new(Server::default());
    let two = start_with(bus.connect(), identity(2), limits.clone());
    two.serve(server.clone()).await.unwrap();
    (start_with(bus.connect(), identity(1), limits), two, server)
}

async fn spy(bus: &MemoryBus) -> Subscription {
    bus.connect().subscribe(">", None).await.unwrap()
}

/// Returns the kinds of the messages sent since the last time.
fn seen(spy: &mut Subscription) -> Vec<frame::Kind> {
    let mut kinds = Vec::new();
    while let Some(Some(message)) = futures::FutureExt::now_or_never(spy.next()) {
        kinds.push(frame::Head::read(&message.payload).unwrap().kind);
    }
    kinds
}
