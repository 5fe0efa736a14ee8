//! Signed requests that change the shared state, one after the other, and somebody who records them and sends them
//! again.
//!
//! Each puts a higher number than the one before. Once a host has said that one is kept, none that was asked before may
//! be, and none is kept twice.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use wattle_bus::{Bus as _, Expect, Message, Subscription, sim::SimBus};
use wattle_lattice::spec::config_bucket;
use wattle_types::{
    replay::ReplayWindow,
    signed::{self, CLOCKS_APART_MAX_SECS},
    subject,
    wascap::{Digest, KeyKind, KeyPair},
};

use crate::{
    Planted,
    chance::Chance,
    host::SimHost,
    surroundings::EPOCH,
    world::{World, stream},
};

/// The end of the subject, and the entry that is put.
const VERB: &str = "config.put";
const KEY: &str = "register";
/// How long whoever asks waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that are sent again now and then.
const RECORDED_MAX: usize = 8;

/// Asks until all is to calm down.
pub(crate) async fn ask(world: Arc<World>) {
    let chance = Chance::new(world.seed, stream::REQUESTS);
    let bus = world.net.connect("operator");
    let mut recorded = VecDeque::new();
    for number in 1_u64.. {
        sleep(chance.millis(200..=2_000)).await;
        if world.calm_down.is_cancelled() {
            break;
        }
        let hosts = world.hosts();
        let Some(host) = chance.pick(&hosts) else { continue };
        let subject = if world.planted == Some(Planted::OnceByEach) {
            subject::control(&world.lattice, VERB)
        } else {
            subject::control_host(&world.lattice, VERB, &host.id)
        };
        let request = written(&world, &subject, number, &chance);
        if recorded.len() == RECORDED_MAX {
            recorded.pop_front();
        }
        recorded.push_back(request.clone());
        put(&world, &bus, &request, number).await;
        for request in recorded.iter().filter(|_| chance.happens(100)) {
            let _unsent = bus.publish(&request.subject, None, &request.headers, request.payload.clone()).await;
        }
    }
    bus.crash();
}

/// Sends a request and takes in whether it is kept.
async fn put(world: &World, bus: &SimBus, request: &Message, number: u64) {
    world.witness.count("requests");
    let inbox = bus.new_inbox();
    let Ok(mut answers) = bus.subscribe(&inbox, None).await else { return };
    let _unsent = bus.publish(&request.subject, Some(&inbox), &request.headers, request.payload.clone()).await;
    // Until then it may be carried out, though nobody listens now: somebody else may send it again.
    let end = Instant::now() + PATIENCE;
    while let Ok(Some(answer)) = timeout_at(end, answers.next()).await {
        if answer.payload == "kept" {
            world.witness.confirmed(number);
            return world.witness.count("requests kept");
        }
    }
    sleep_until(end).await;
}

fn written(world: &World, subject: &str, number: u64, chance: &Chance) -> Message {
    let now = EPOCH * 1000 + millis(world.begun.elapsed());
    let mut nonce = [0; 16];
    chance.fill(&mut nonce);
    let payload = Bytes::from(number.to_string());
    let times = (now / 1000, Some(now + millis(PATIENCE)));
    let headers = signed::sign_until(&controller(), subject, &payload, times, nonce);
    Message { subject: subject.to_owned(), reply: None, payload, headers }
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

fn controller() -> KeyPair {
    #[expect(clippy::expect_used, reason = "only curve keys cannot be made of bytes")]
    KeyPair::from_seed_bytes(KeyKind::Account, [9; 32]).expect("bytes are an account's key")
}

/// What one process of a host has taken.
#[derive(Debug)]
pub(crate) struct Taken(Mutex<ReplayWindow>);

impl Taken {
    /// `started` is when the process began, in seconds since 1970.
    pub(crate) fn new(started: u64) -> Self {
        Self(Mutex::new(ReplayWindow::of(CLOCKS_APART_MAX_SECS).since(started)))
    }

    /// Returns until when a request is of use, if it is to be carried out.
    fn take(&self, world: &World, request: &Message, now_ms: u64) -> Option<u64> {
        let until = signed::millis_in(&request.headers, signed::UNTIL).ok()??;
        if until < now_ms && world.planted != Some(Planted::LateRequests) {
            return None;
        }
        let signature = signed::verify(&request.headers, &request.subject, &request.payload, now_ms / 1000).ok()??;
        let id = Digest::of(signature.nonce.as_bytes());
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.take(*id.as_bytes(), signature.time, now_ms / 1000).ok().map(|()| until)
    }
}

/// Returns whether an order is such a request.
pub(crate) fn is_one(order: &Message) -> bool {
    order.subject.contains(VERB)
}

/// Takes requests that any host may carry out, until the process ends.
pub(crate) async fn take(host: Arc<SimHost>, mut requests: Subscription) {
    while let Some(request) = requests.next().await {
        let host = Arc::clone(&host);
        host.world().tasks.clone().spawn(async move {
            let dead = host.dead.clone();
            dead.run_until_cancelled(carry_out(&host, &request)).await;
        });
    }
}

/// Carries out a request as a host does: if it comes in time and was not taken before.
pub(crate) async fn carry_out(host: &SimHost, request: &Message) {
    let world = host.world();
    // By a wrong clock nobody can tell what is late.
    if !host.seat().machine.is_right() {
        return;
    }
    let Some(until) = host.taken().take(world, request, host.seat().machine.now_ms()) else {
        return world.witness.count("requests refused");
    };
    let Some(number) = std::str::from_utf8(&request.payload).ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let putting = async {
        let store = host.bus().bucket(&config_bucket(&world.lattice)).await.ok()?;
        // What is under way for long must not replace what was kept meanwhile.
        let expect = store.get(KEY).await.ok()?.map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
        store.put(KEY, format!("{{\"n\":\"{number}\"}}").into(), expect).await.ok()
    };
    let left = Duration::from_millis(until.saturating_sub(host.seat().machine.now_ms()));
    let done = if world.planted == Some(Planted::LateRequests) {
        putting.await
    } else {
        timeout(left, putting).await.ok().flatten()
    };
    if done.is_some()
        && let Some(reply) = &request.reply
    {
        let _unsent = host.bus().publish(reply, None, &[], "kept".into()).await;
    }
}

/// Reads the number that an entry of the shared state says is kept.
pub(crate) fn kept(key: &str, value: &[u8]) -> Option<u64> {
    let values: std::collections::BTreeMap<String, String> = serde_json::from_slice(value).ok()?;
    if key == KEY { values.get("n")?.parse().ok() } else { None }
}
