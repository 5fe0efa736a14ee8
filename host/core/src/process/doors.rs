//! Where provider processes call actors: one subject for each actor that is linked to one.
//!
//! Whoever signed with a process's key is that process. It may call the actors linked to it, over those links.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use wattle_bus::{Bus, BusError, Message, Subscription, listen};
use wattle_types::{
    ActorId, ActorInvoker, CallContext, Deadline, LatticeId, LinkKey, ProviderError,
    rpc::{Entity, Invocation, InvocationResponse},
    subject,
    wascap::{ClaimsError, Digest, InvocationFacts, PublicKey, TrustPolicy, verify_invocation},
};

use super::{
    channel::{check_unchunked, decode, encode},
    unix_now,
};

/// Invocations of processes worked on at once on this host; further ones are refused.
const INVOCATIONS_MAX: usize = 1024;
/// How long the refusal of what another host may know is held back.
const REFUSAL_PAUSE: Duration = Duration::from_millis(500);
/// Longest `traceparent` taken over.
const TRACE_LEN_MAX: usize = 128;

/// One process, as those it calls see it.
pub(super) struct Identity {
    /// What it signs with.
    pub(super) signs_with: PublicKey,
    /// What it calls itself (`V...`).
    pub(super) key: String,
    pub(super) actors: Arc<dyn ActorInvoker>,
    pub(super) taken: Mutex<wattle_types::replay::ReplayWindow>,
}

/// A process that may call an actor over a link.
#[derive(Clone)]
struct Caller {
    link: LinkKey,
    identity: Arc<Identity>,
}

/// The subjects of all actors linked to processes.
pub(super) struct Doors {
    shared: Arc<Shared>,
    doors: tokio::sync::Mutex<HashMap<ActorId, Door>>,
    tasks: TaskTracker,
}

struct Shared {
    bus: Arc<dyn Bus>,
    lattice: LatticeId,
    call_timeout: Duration,
    places: Arc<Semaphore>,
}

/// One actor's subject. Closed when dropped.
struct Door {
    callers: Arc<ArcSwap<Vec<Caller>>>,
    _open: DropGuard,
}

impl Doors {
    pub(super) fn new(bus: Arc<dyn Bus>, lattice: LatticeId, call_timeout: Duration) -> Self {
        let shared = Shared { bus, lattice, call_timeout, places: Arc::new(Semaphore::new(INVOCATIONS_MAX)) };
        Self { shared: Arc::new(shared), doors: tokio::sync::Mutex::default(), tasks: TaskTracker::new() }
    }

    /// Lets a process call the actor of a link.
    pub(super) async fn open(&self, link: &LinkKey, identity: &Arc<Identity>) -> Result<(), BusError> {
        let mut doors = self.doors.lock().await;
        let caller = Caller { link: link.clone(), identity: identity.clone() };
        if let Some(door) = doors.get(&link.actor) {
            let mut callers = without(&door.callers.load(), link, identity);
            callers.push(caller);
            door.callers.store(Arc::new(callers));
            return Ok(());
        }
        let subject = subject::rpc_actor(&self.shared.lattice, &link.actor);
        // Not as one of a queue group: only the host that started a process knows its key.
        let invocations = listen(self.shared.bus.clone(), subject, None).await?;
        let callers = Arc::new(ArcSwap::from_pointee(vec![caller]));
        let closed = CancellationToken::new();
        let serving = serve(self.shared.clone(), link.actor, callers.clone(), invocations, self.tasks.clone());
        self.tasks.spawn(closed.clone().run_until_cancelled_owned(serving));
        doors.insert(link.actor, Door { callers, _open: closed.drop_guard() });
        Ok(())
    }

    /// Lets it no longer.
    pub(super) async fn close(&self, link: &LinkKey, identity: &Arc<Identity>) {
        let mut doors = self.doors.lock().await;
        let Some(door) = doors.get(&link.actor) else { return };
        let callers = without(&door.callers.load(), link, identity);
        if callers.is_empty() {
            doors.remove(&link.actor);
        } else {
            door.callers.store(Arc::new(callers));
        }
    }
}

fn without(callers: &[Caller], link: &LinkKey, identity: &Arc<Identity>) -> Vec<Caller> {
    let others = callers.iter().filter(|caller| caller.link != *link || !Arc::ptr_eq(&caller.identity, identity));
    others.cloned().collect()
}

async fn serve(
    shared: Arc<Shared>,
    actor: ActorId,
    callers: Arc<ArcSwap<Vec<Caller>>>,
    mut invocations: Subscription,
    tasks: TaskTracker,
) {
    while let Some(message) = invocations.next().await {
        if message.wants_answer_elsewhere() {
            tracing::warn!(%actor, reply = message.reply, "an invocation is dropped: its reply subject is no inbox");
            continue;
        }
        let Ok(place) = shared.places.clone().try_acquire_owned() else {
            let refused = respond(String::new(), Err("the host is overloaded".into()));
            answer(shared.bus.as_ref(), &message, refused).await;
            continue;
        };
        let (shared, callers) = (shared.clone(), callers.load_full());
        tasks.spawn(async move {
            let response = match work(&shared, actor, &callers, &message).await {
                Ok(response) => response,
                Err(Unknown(response)) => {
                    // Another host may have started that process, and answers at once.
                    tokio::time::sleep(REFUSAL_PAUSE).await;
                    response
                }
            };
            answer(shared.bus.as_ref(), &message, response).await;
            drop(place);
        });
    }
}

/// The refusal of an invocation that no process of this host has signed.
struct Unknown(InvocationResponse);

async fn work(
    shared: &Shared,
    actor: ActorId,
    callers: &[Caller],
    message: &Message,
) -> Result<InvocationResponse, Unknown> {
    let invocation: Invocation = match decode(&message.payload) {
        Ok(invocation) => invocation,
        Err(error) => return Ok(respond(String::new(), Err(format!("the invocation cannot be read: {error}")))),
    };
    let caller = match admit(&invocation, actor, callers, unix_now()) {
        Ok(caller) => caller,
        Err(Refused { reason, is_ours }) => {
            tracing::warn!(%actor, origin = shorten(&invocation.origin.public_key), reason, "an invocation was refused");
            let response = respond(invocation.id, Err(reason));
            return if is_ours { Ok(response) } else { Err(Unknown(response)) };
        }
    };
    let mut context = CallContext::new(Deadline::after(crate::dispatch::now(), shared.call_timeout));
    context.traceparent = traceparent(message);
    let payload = Bytes::from(invocation.msg);
    let result = caller.identity.actors.invoke(&caller.link, &invocation.operation, payload, context).await;
    Ok(respond(invocation.id, result.map_err(|error| error.to_string())))
}

/// Why an invocation is not taken.
struct Refused {
    reason: String,
    /// Whether a process of this host has sent it, as far as can be told.
    is_ours: bool,
}

impl<T: Into<String>> From<T> for Refused {
    fn from(reason: T) -> Self {
        Self { reason: reason.into(), is_ours: true }
    }
}

/// Finds the process an invocation provably comes from, and takes the invocation once.
fn admit<'a>(invocation: &Invocation, actor: ActorId, callers: &'a [Caller], now: u64) -> Result<&'a Caller, Refused> {
    let origin = &invocation.origin;
    if invocation.target.public_key != actor.to_string() {
        return Err("the invocation is for another actor".into());
    }
    check_unchunked(&invocation.msg, invocation.content_length).map_err(|error: ProviderError| error.to_string())?;
    let linked: Vec<_> = callers.iter().filter(|caller| caller.is(origin)).collect();
    let mut trusted = TrustPolicy::new();
    for caller in &linked {
        trusted = trusted.trust_cluster(caller.identity.signs_with).map_err(|error| error.to_string())?;
    }
    let (origin_url, target_url) = (origin.url(), invocation.target.url());
    let facts = InvocationFacts {
        origin_url: &origin_url,
        target_url: &target_url,
        operation: &invocation.operation,
        message: &invocation.msg,
    };
    let verified = verify_invocation(&invocation.encoded_claims, &invocation.id, &facts, now, &trusted);
    let verified = verified.map_err(|error| Refused {
        is_ours: !matches!(error, ClaimsError::IssuerNotTrusted { .. }),
        reason: error.to_string(),
    })?;
    let caller = linked.into_iter().find(|caller| caller.identity.signs_with == verified.issuer());
    let caller = caller.ok_or("no such link")?;
    let mut taken = caller.identity.taken.lock().unwrap_or_else(PoisonError::into_inner);
    let id = *Digest::of(invocation.id.as_bytes()).as_bytes();
    taken.take(id, verified.issued_at(), now).map_err(|error| error.to_string())?;
    Ok(caller)
}

impl Caller {
    fn is(&self, origin: &Entity) -> bool {
        self.identity.key == origin.public_key
            && self.link.link_name.as_str() == origin.link_name
            && self.link.contract.as_str() == origin.contract_id
    }
}

fn respond(invocation_id: String, result: Result<Bytes, String>) -> InvocationResponse {
    match result {
        Ok(bytes) => InvocationResponse {
            content_length: Some(bytes.len() as u64),
            msg: bytes.into(),
            invocation_id,
            error: None,
        },
        Err(error) => InvocationResponse { invocation_id, error: Some(error), ..InvocationResponse::default() },
    }
}

async fn answer(bus: &dyn Bus, message: &Message, response: InvocationResponse) {
    let Some(reply) = &message.reply else { return };
    let sent = send(bus, reply, &response).await;
    let Err(error) = sent else { return };
    tracing::warn!(%error, "an invocation was not answered as it should be");
    if let ProviderError::PayloadTooLarge { .. } = error {
        let response = respond(response.invocation_id, Err(error.to_string()));
        if let Err(error) = send(bus, reply, &response).await {
            tracing::warn!(%error, "an invocation was not answered");
        }
    }
}

async fn send(bus: &dyn Bus, reply: &str, response: &InvocationResponse) -> Result<(), ProviderError> {
    bus.publish(reply, None, &[], encode(response)?).await.map_err(super::channel::bus_error)
}

fn traceparent(message: &Message) -> Option<Arc<str>> {
    let (_, value) = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("traceparent"))?;
    Some(value.as_str().into()).filter(|_| value.len() <= TRACE_LEN_MAX)
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}
