//! Takes calls of other hosts: proves each message, bounds what runs, answers.
//!
//! One task receives and never waits for a call; each message has a task of its own.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use wattle_bus::{Message, Subscription, is_inbox};
use wattle_types::{CallContext, Deadline, ErrorKind, MAX_CALL_DEPTH};

use super::{
    Refusal, RemoteCall, Serve,
    endpoint::Endpoint,
    fields::{self, Attached},
    frame::{self, Head, Kind, NoHead},
    gauge::{Gauge, Taken},
    handshake::{self, NoSession, Proven},
    kept::{Kept, Room},
    reply::Reply,
    table::{Inbound, SESSION_AGE_MAX, Table, Throttle},
};

/// Messages worked on at once, calls or not; further ones are lost. More than may run, so that those too many are told.
const MESSAGES_AT_ONCE_PER_CALL: usize = 2;

/// How much longer than its time is a message may have been under way: what two clocks and a first contact may differ.
const UNDER_WAY_MAX: Duration = Duration::from_secs(2);

/// Shortest and longest pause before listening again when the bus has ended it.
const LISTEN_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The code of a call that came after its deadline, or did not end before it.
pub(super) const LATE: &str = "deadline_exceeded";

/// What a host knows of those that call it.
pub(super) struct Desk {
    endpoint: Arc<Endpoint>,
    table: Mutex<Table>,
    /// Of first contacts, which cost a signature to check and one to answer.
    contacts: Mutex<Throttle>,
    /// Of messages of unknown sessions, which cost a signature to answer.
    strays: Mutex<Throttle>,
    kept: Kept,
    running: Arc<Gauge>,
    messages: Arc<Gauge>,
    draining: AtomicBool,
    /// One for each call that runs or whose answer is being fetched.
    calls: TaskTracker,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Messages not taken.
    dropped: AtomicU64,
}

/// A desk with somebody behind it.
#[derive(Clone)]
struct Serving {
    desk: Arc<Desk>,
    server: Arc<dyn Serve>,
}

/// A call that may run.
struct Admitted {
    call: RemoteCall,
    deadline: Instant,
    places: (Taken, Taken),
    room: Option<Room>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        let limits = &endpoint.limits;
        Self {
            table: Mutex::new(Table::new(limits.clone())),
            contacts: Mutex::new(Throttle::new(Instant::now())),
            strays: Mutex::new(Throttle::new(Instant::now())),
            kept: Kept::new(limits.payload_len_max, limits.kept_len_max),
            running: Gauge::new(limits.running_max),
            messages: Gauge::new(limits.running_max.saturating_mul(MESSAGES_AT_ONCE_PER_CALL)),
            draining: AtomicBool::new(false),
            calls: TaskTracker::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            dropped: AtomicU64::new(0),
            endpoint,
        }
    }

    /// Serves what arrives until [`Desk::stop`], or until [`Desk::stopped`] is cancelled.
    pub(super) fn serve(self: &Arc<Self>, server: Arc<dyn Serve>, messages: Subscription) {
        let serving = Serving { desk: Arc::clone(self), server };
        self.tasks.spawn(serving.receive(messages));
    }

    /// Returns what ends it.
    pub(super) const fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Refuses new calls, waits for those that run, and ends.
    pub(super) async fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.calls.close();
        self.calls.wait().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Counts a message that is not taken. Not each is logged: whoever sends one can send many.
    fn drop_message(&self, why: &dyn fmt::Display) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if dropped.is_power_of_two() {
            tracing::warn!(%why, dropped, "a message between hosts was not taken");
        }
    }

    /// Answers a first contact.
    async fn greet(&self, hello: &Bytes, reply: &str) {
        let answer = match self.open(hello) {
            Ok(welcome) => welcome,
            Err(why) => {
                self.drop_message(&why);
                handshake::declined(&why)
            }
        };
        let _unsent = self.endpoint.publish(reply, answer).await;
    }

    fn open(&self, hello: &Bytes) -> Result<Bytes, NoSession> {
        let Endpoint { identity, incarnation, surroundings, .. } = self.endpoint.as_ref();
        // First, so that those who do not even know whom we trust take no turn of those that we do.
        handshake::check_issuer(identity, hello)?;
        if !lock(&self.contacts).take(Instant::now()) {
            return Err(NoSession::Busy);
        }
        let unix_now = surroundings.unix_now();
        let proven = Proven::read(identity, hello, unix_now)?;
        let mut id = [0; 8];
        surroundings.fill_random(&mut id)?;
        let id = u64::from_be_bytes(id);
        lock(&self.table).take_contact(&proven, id, unix_now)?;
        let (welcome, keys) = proven.welcome(identity, *incarnation, id, surroundings.as_ref())?;
        lock(&self.table).insert(id, proven.from, keys, Instant::now());
        tracing::debug!(host = %proven.from, "another host may call");
        Ok(welcome)
    }

    /// Tells the sender of a message that its session is not known.
    async fn disown(&self, request: &Bytes, reply: &str) {
        if !lock(&self.strays).take(Instant::now()) {
            return self.drop_message(&"unknown session");
        }
        let Endpoint { identity, incarnation, .. } = self.endpoint.as_ref();
        let _unsent = self.endpoint.publish(reply, handshake::gone(identity, *incarnation, request)).await;
    }

    /// Proves a message and takes it once.
    fn prove(&self, session: &Inbound, head: Head, message: &Bytes) -> Option<Bytes> {
        let Ok(fields) = frame::open(&session.keys.request, message) else {
            self.drop_message(&"not proven");
            return None;
        };
        if !session.take(head.counter, Instant::now()) {
            self.drop_message(&"sent before");
            return None;
        }
        Some(fields)
    }

    /// Takes a part of a payload, and keeps it no longer than its call may take.
    fn put(self: &Arc<Self>, session: &Arc<Inbound>, fields: Bytes) -> Result<(), Refusal> {
        let put = fields::read_put(fields).map_err(|_| unreadable())?;
        if self.draining.load(Ordering::Relaxed) {
            return Err(draining());
        }
        let Some(taken) = self.kept.put(session, &put)? else { return Ok(()) };
        let (desk, session, upload) = (Arc::clone(self), Arc::clone(session), put.upload);
        let until = Instant::now() + put.remaining.min(SESSION_AGE_MAX);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = desk.stop.cancelled() => {}
                _ = taken => {}
                () = tokio::time::sleep_until(until) => desk.kept.drop_upload(&session, upload),
            }
        });
        Ok(())
    }

    /// Checks everything about a call but who may call whom.
    fn admit(&self, session: &Inbound, fields: Bytes) -> Result<Admitted, Refusal> {
        let call = fields::read_call(fields).map_err(|_| unreadable())?;
        // Taken out first: what is refused is not kept.
        let (payload, room) = match call.payload {
            Attached::Here(bytes) => (bytes, None),
            Attached::Before(upload) => {
                self.kept.take_upload(session, upload).map(|(bytes, room)| (bytes, Some(room)))?
            }
        };
        if self.draining.load(Ordering::Relaxed) {
            return Err(draining());
        }
        let now = Instant::now();
        let under_way = session.since(call.time.sent, now).saturating_sub(UNDER_WAY_MAX);
        let remaining = call.time.remaining.min(SESSION_AGE_MAX).saturating_sub(under_way);
        if remaining.is_zero() {
            return Err(late(false));
        }
        if call.depth > MAX_CALL_DEPTH {
            let message = format!("actors called each other more than {MAX_CALL_DEPTH} times in one chain");
            return Err(Refusal::not_run("call_depth_exceeded", ErrorKind::Guest, message));
        }
        let busy = |gauge: &Gauge| {
            let message = format!("the host is overloaded: {} calls are running", gauge.max());
            Refusal::not_run("overloaded", ErrorKind::Unavailable, message)
        };
        let fair = session.guest.running.take(1).ok_or_else(|| busy(&session.guest.running))?;
        let place = self.running.take(1).ok_or_else(|| busy(&self.running))?;
        let deadline = now + remaining;
        let context = CallContext {
            repeatable: false,
            deadline: Deadline::at(deadline.into_std()),
            depth: call.depth,
            traceparent: call.traceparent,
        };
        let (origin, target, operation) = (call.origin, call.target, call.operation);
        let call = RemoteCall { origin, target, operation, payload, context };
        Ok(Admitted { call, deadline, places: (fair, place), room })
    }

    /// Returns how many bytes are kept for others.
    #[cfg(test)]
    pub(super) fn kept_len(&self) -> usize {
        self.kept.used()
    }
}

impl Serving {
    async fn receive(self, mut messages: Subscription) {
        let mut pause = LISTEN_AGAIN.0;
        let mut behind = None;
        loop {
            let message = match behind.take() {
                Some(message) => Some(message),
                None => tokio::select! {
                    biased;
                    () = self.desk.stop.cancelled() => break,
                    message = messages.next() => message,
                },
            };
            match message {
                Some(message) => {
                    behind = messages.next().now_or_never().flatten();
                    if behind.is_some() {
                        self.take(message)
                    } else {
                        self.take_alone(message)
                    }
                    pause = LISTEN_AGAIN.0;
                }
                None => match self.listen_again(&mut pause).await {
                    Some(again) => messages = again,
                    None => break,
                },
            }
        }
        // What arrived before nobody listened any more is refused rather than lost.
        self.desk.draining.store(true, Ordering::Relaxed);
        if let Some(message) = behind {
            self.take(message);
        }
        while let Some(Some(message)) = messages.next().now_or_never() {
            self.take(message);
        }
    }

    /// Listens anew after the bus has ended it, after longer and longer pauses, until we stop.
    async fn listen_again(&self, pause: &mut Duration) -> Option<Subscription> {
        loop {
            tracing::warn!(?pause, "other hosts cannot call: the subscription has ended; it is made anew");
            tokio::select! {
                biased;
                () = self.desk.stop.cancelled() => return None,
                () = tokio::time::sleep(*pause) => {}
            }
            *pause = (*pause * 2).min(LISTEN_AGAIN.1);
            if let Ok(messages) = self.desk.endpoint.listen().await {
                return Some(messages);
            }
        }
    }

    fn take(&self, message: Message) {
        if let Some(work) = self.work_on(message) {
            self.desk.tasks.spawn(work);
        }
    }

    /// Begins at once with a message nothing waits behind, instead of having another thread woken for it. What does not
    /// end without waiting goes on in a task of its own; a busy guest waits too, after some milliseconds.
    fn take_alone(&self, message: Message) {
        let Some(work) = self.work_on(message) else { return };
        let mut work = Box::pin(work);
        // A fault of one call must not end the task that receives them all.
        match AssertUnwindSafe(work.as_mut()).catch_unwind().now_or_never() {
            None => drop(self.desk.tasks.spawn(work)),
            Some(Ok(())) => {}
            Some(Err(_)) => self.desk.drop_message(&"working on it panicked"),
        }
    }

    fn work_on(&self, message: Message) -> Option<impl Future<Output = ()> + Send + use<>> {
        let Some(place) = self.desk.messages.take(1) else {
            self.desk.drop_message(&"too many at once");
            return None;
        };
        let serving = self.clone();
        Some(async move {
            serving.handle(message).await;
            drop(place);
        })
    }

    async fn handle(&self, message: Message) {
        let Some(reply) = message.reply.as_deref().filter(|reply| is_inbox(reply)) else {
            return self.desk.drop_message(&"no inbox for the answer");
        };
        let head = match Head::read(&message.payload) {
            Ok(head) => head,
            Err(NoHead::Foreign) => return self.desk.drop_message(&"not of this protocol"),
            Err(NoHead::Version(_)) => {
                let _unsent = self.desk.endpoint.publish(reply, handshake::declined(&NoSession::Version)).await;
                return;
            }
        };
        match head.kind {
            Kind::Hello => self.desk.greet(&message.payload, reply).await,
            Kind::Call | Kind::Put | Kind::Get => self.work(head, &message.payload, reply).await,
            _ => self.desk.drop_message(&"not a request"),
        }
    }

    async fn work(&self, head: Head, message: &Bytes, reply: &str) {
        let desk = &self.desk;
        let Some(session) = lock(&desk.table).find(head.session, head.counter, Instant::now()) else {
            return desk.disown(message, reply).await;
        };
        let Some(fields) = desk.prove(&session, head, message) else { return };
        let reply = Reply { endpoint: &desk.endpoint, session: &session, counter: head.counter, subject: reply };
        match head.kind {
            Kind::Call => self.call(&reply, fields, desk.calls.token()).await,
            Kind::Put => match desk.put(&session, fields) {
                Ok(()) => reply.stored().await,
                Err(refusal) => reply.refuse(&refusal).await,
            },
            _ => match fields::read_get(fields) {
                Ok(get) => reply.part(get, &desk.kept).await,
                Err(_) => reply.refuse(&unreadable()).await,
            },
        }
    }

    async fn call(&self, reply: &Reply<'_>, fields: Bytes, running: TaskTrackerToken) {
        let admitted = match self.desk.admit(reply.session, fields) {
            Ok(admitted) => admitted,
            Err(refusal) => return reply.refuse(&refusal).await,
        };
        let Admitted { call, deadline, places, room } = admitted;
        let served = tokio::time::timeout_at(deadline, self.server.serve(reply.session.from, call)).await;
        // Whoever is told has to find the place free.
        drop((places, room));
        reply.result(served.unwrap_or_else(|_| Err(late(true))), &self.desk.kept, deadline).await;
        drop(running);
    }
}

fn unreadable() -> Refusal {
    Refusal::not_run("request_invalid", ErrorKind::Caller, "the call cannot be read")
}

fn draining() -> Refusal {
    Refusal::not_run("draining", ErrorKind::Unavailable, "the host is draining")
}

fn late(executed: bool) -> Refusal {
    let message =
        if executed { "the call did not end before its deadline" } else { "the call came after its deadline" };
    Refusal { executed, ..Refusal::not_run(LATE, ErrorKind::Unavailable, message) }
}
