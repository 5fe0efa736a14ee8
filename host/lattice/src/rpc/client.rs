//! Calls other hosts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;
use wattle_bus::BusError;
use wattle_types::{HostId, MAX_CALL_DEPTH};

use super::{
    CallFailure, NotRun, Refusal, RemoteCall,
    desk::LATE,
    endpoint::Endpoint,
    fields::{self, Attached, CallTime, Get, OPERATION_LEN_MAX, Put},
    frame::{self, Head, Kind},
    handshake::read_gone,
    peer::{Outbound, Peer},
};

/// Parts of one payload under way at once.
const PARTS_AT_ONCE: usize = 4;
/// Bytes of a call's fields, mostly; they may be more.
const FIELDS_LEN: usize = 320;

/// What deadlines are counted in.
const DEADLINE_STEP: Duration = Duration::from_millis(1);

/// How much earlier than ours the deadline of the host that is asked is, at most. What it says then still comes in
/// time, so that a slow target is not taken for a host that died.
const ANSWER_TIME: Duration = Duration::from_millis(20);

/// Calls other hosts.
pub(super) struct Client {
    endpoint: Arc<Endpoint>,
    peers: Mutex<HashMap<HostId, Arc<Peer>>>,
}

/// How a call ended, as far as it is known.
enum End {
    Answered(Bytes),
    Failed(Refusal),
    NotRun(NotRun),
    Unknown(String),
    /// The host has forgotten the session, and did not run the call.
    Forgotten,
}

/// What a host said to one message.
enum Said {
    Answer(Bytes),
    Held(u32),
    Refused(Refusal),
    Part(Bytes),
    Stored,
    /// This start of the host does not know the session.
    Gone(u64),
}

/// Why a host said nothing to one message.
enum Silence {
    NobodyListens,
    NotConnected,
    TooLarge {
        limit: usize,
    },
    /// The deadline passed. It may have been heard.
    Late(String),
    /// It may have been heard.
    Unknown(String),
}

/// One call, on its way over one session.
struct Talk<'a> {
    endpoint: &'a Endpoint,
    peer: &'a Peer,
    session: &'a Arc<Outbound>,
    deadline: Instant,
}

impl Client {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, peers: Mutex::default() }
    }

    pub(super) fn outstanding(&self, host: &HostId) -> usize {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(host).map_or(0, |peer| peer.waiting.used())
    }

    pub(super) fn has_session(&self, host: &HostId) -> bool {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(host).is_some_and(|peer| peer.is_open())
    }

    pub(super) async fn meet(&self, host: HostId) -> Result<(), NotRun> {
        self.peer(host).session(&self.endpoint).await.map(drop)
    }

    pub(super) async fn call(&self, host: HostId, call: &RemoteCall) -> Result<Bytes, CallFailure> {
        let started = Instant::now();
        match self.run(host, call).await {
            End::Answered(bytes) => Ok(bytes),
            End::Failed(refusal) if refusal.executed => Err(CallFailure::Answered(refusal)),
            End::Failed(refusal) => Err(CallFailure::NotRun { host, why: NotRun::Refused(refusal) }),
            End::NotRun(why) => Err(CallFailure::NotRun { host, why }),
            End::Unknown(why) => Err(CallFailure::Unknown { host, waited: started.elapsed(), why }),
            End::Forgotten => {
                let why = NotRun::NoSession("the host forgets its sessions at once".into());
                Err(CallFailure::NotRun { host, why })
            }
        }
    }

    async fn run(&self, host: HostId, call: &RemoteCall) -> End {
        if let Err(why) = self.check(call) {
            return End::NotRun(why);
        }
        let peer = self.peer(host);
        let Some(_place) = peer.waiting.take(1) else {
            return End::NotRun(NotRun::Overloaded { limit: peer.waiting.max() });
        };
        let deadline = Instant::from_std(call.context.deadline.instant());
        // Once more when the host was started again: it has said, provably, that it did not run the call.
        let mut end = End::Forgotten;
        for _attempt in 0..2 {
            let session = match tokio::time::timeout_at(deadline, peer.session(&self.endpoint)).await {
                Ok(Ok(session)) => session,
                Ok(Err(why)) => return End::NotRun(why),
                Err(_) => return End::NotRun(NotRun::DeadlineExceeded),
            };
            end = Talk { endpoint: &self.endpoint, peer: &peer, session: &session, deadline }.call(call).await;
            if !matches!(end, End::Forgotten) {
                break;
            }
        }
        end
    }

    fn check(&self, call: &RemoteCall) -> Result<(), NotRun> {
        let limit = self.endpoint.limits.payload_len_max;
        if call.payload.len() > limit {
            return Err(NotRun::TooLarge { size: call.payload.len(), limit });
        }
        if call.operation.len() > OPERATION_LEN_MAX {
            return Err(NotRun::TooLarge { size: call.operation.len(), limit: OPERATION_LEN_MAX });
        }
        if call.context.depth > MAX_CALL_DEPTH {
            return Err(NotRun::TooDeep);
        }
        if call.context.deadline.remaining(Instant::now().into_std()) < DEADLINE_STEP {
            return Err(NotRun::DeadlineExceeded);
        }
        Ok(())
    }

    fn peer(&self, host: HostId) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get(&host) {
            return Arc::clone(peer);
        }
        if peers.len() >= self.endpoint.limits.sessions_max {
            // Hosts come and go. Those that nobody waits for go first without a session, then altogether.
            peers.retain(|_, peer| peer.waiting.used() > 0 || peer.is_open());
            if peers.len() >= self.endpoint.limits.sessions_max {
                peers.retain(|_, peer| peer.waiting.used() > 0);
            }
        }
        let peer = Arc::new(Peer::new(host, &self.endpoint));
        peers.insert(host, Arc::clone(&peer));
        peer
    }
}

impl Talk<'_> {
    async fn call(&self, call: &RemoteCall) -> End {
        loop {
            let part_len = self.endpoint.part_len.get();
            let payload = if call.payload.len() <= part_len {
                Attached::Here(call.payload.clone())
            } else {
                match self.upload(&call.payload).await {
                    Ok(upload) => Attached::Before(upload),
                    Err(end) => return end,
                }
            };
            let counter = self.session.count();
            let here = if let Attached::Here(bytes) = &payload { bytes.len() } else { 0 };
            let remaining = self.remaining();
            if remaining < DEADLINE_STEP {
                return End::NotRun(NotRun::DeadlineExceeded);
            }
            let theirs = remaining.saturating_sub(ANSWER_TIME.min(remaining / 20)).max(DEADLINE_STEP);
            let time = CallTime { remaining: theirs, sent: self.session.age() };
            let write = |out: &mut BytesMut| fields::write_call(out, call, time, &payload);
            let said = self.ask(Kind::Call, counter, FIELDS_LEN + here, write).await;
            match said {
                // Again in parts, which become shorter each time.
                Err(Silence::TooLarge { limit }) if self.endpoint.part_len.shrink(here, limit) => {}
                Err(Silence::TooLarge { limit }) => {
                    return End::NotRun(NotRun::TooLarge { size: call.payload.len(), limit });
                }
                Err(silence) => return silence.after_call(),
                Ok(Said::Answer(bytes)) => return End::Answered(bytes),
                Ok(Said::Held(total)) => return self.fetch(counter, total as usize).await,
                Ok(Said::Refused(refusal)) => return self.refused(refusal),
                Ok(Said::Gone(by)) => return self.gone(by),
                Ok(Said::Part(_) | Said::Stored) => return End::Unknown(NOT_PROVEN.into()),
            }
        }
    }

    /// The host that got the call does not know its session, and did not run it. Only a process of it that started
    /// after the one we know can say so for both: an earlier one may live beside it, under the same key.
    fn gone(&self, by: u64) -> End {
        self.peer.forget(self.session);
        if by >= self.session.incarnation {
            return End::Forgotten;
        }
        End::Unknown("an earlier process under the same host key answered".into())
    }

    fn refused(&self, refusal: Refusal) -> End {
        // Too late, although there is time: the clocks of this session ran apart, as when a machine slept.
        if refusal.code == LATE && !refusal.executed && self.remaining() > DEADLINE_STEP {
            self.peer.forget(self.session);
        }
        End::Failed(refusal)
    }

    /// Sends a payload ahead of its call.
    async fn upload(&self, payload: &Bytes) -> Result<u64, End> {
        let upload = self.session.count();
        let step = self.endpoint.part_len.get();
        let begins = (0..payload.len()).step_by(step);
        stream::iter(begins.map(|begin| self.upload_range(upload, payload, begin, (begin + step).min(payload.len()))))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(upload)
    }

    async fn upload_range(&self, upload: u64, payload: &Bytes, mut begin: usize, end: usize) -> Result<(), End> {
        let total = to_u32(payload.len());
        while begin < end {
            let len = self.endpoint.part_len.get().min(end - begin);
            let bytes = payload.slice(begin..begin + len);
            let put = Put { upload, remaining: self.remaining(), total, offset: to_u32(begin), bytes };
            let said = self.ask(Kind::Put, self.session.count(), len + 32, |out| fields::write_put(out, &put)).await;
            match said {
                Ok(Said::Stored) => begin += len,
                Ok(Said::Refused(refusal)) => return Err(End::Failed(Refusal { executed: false, ..refusal })),
                // Whoever says so: the call itself was not sent.
                Ok(Said::Gone(_)) => {
                    self.peer.forget(self.session);
                    return Err(End::Forgotten);
                }
                Ok(_) => return Err(End::NotRun(NotRun::Internal(NOT_PROVEN.into()))),
                Err(Silence::TooLarge { limit }) if self.endpoint.part_len.shrink(len, limit) => {}
                Err(silence) => return Err(End::NotRun(silence.before_call(payload.len()))),
            }
        }
        Ok(())
    }

    /// Fetches an answer too long for one message.
    async fn fetch(&self, counter: u64, total: usize) -> End {
        if total > self.endpoint.limits.payload_len_max {
            return End::Unknown(format!("an answer of {total} bytes is longer than allowed"));
        }
        let step = self.endpoint.part_len.get();
        let begins = (0..total).step_by(step);
        let ranges = begins.map(|begin| self.fetch_range(counter, begin, (begin + step).min(total)));
        let whole = BytesMut::with_capacity(total);
        let fetched = stream::iter(ranges).buffered(PARTS_AT_ONCE).try_fold(whole, |mut whole, range| async move {
            whole.put(range);
            Ok(whole)
        });
        match fetched.await {
            Ok(whole) => End::Answered(whole.freeze()),
            Err(why) => End::Unknown(format!("the answer was not fetched: {why}")),
        }
    }

    async fn fetch_range(&self, counter: u64, mut begin: usize, end: usize) -> Result<Bytes, String> {
        let mut range = BytesMut::with_capacity(end - begin);
        while begin < end {
            let get = Get { counter, offset: to_u32(begin), len: to_u32(end - begin) };
            match self.ask(Kind::Get, self.session.count(), 16, |out| fields::write_get(out, get)).await {
                Ok(Said::Part(bytes)) if !bytes.is_empty() && bytes.len() <= end - begin => {
                    begin += bytes.len();
                    range.put(bytes);
                }
                Ok(Said::Refused(refusal)) => return Err(refusal.message),
                Ok(_) => return Err(NOT_PROVEN.into()),
                Err(Silence::Late(why) | Silence::Unknown(why)) => return Err(why),
                Err(_) => return Err("the host is gone".into()),
            }
        }
        Ok(range.freeze())
    }

    /// Sends one message and reads what is said to it.
    async fn ask(
        &self,
        kind: Kind,
        counter: u64,
        len: usize,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<Said, Silence> {
        if !self.endpoint.bus.is_connected() {
            return Err(Silence::NotConnected);
        }
        let mut request = Head { kind, session: self.session.id, counter }.begin(len);
        write(&mut request);
        let request = self.session.keys.request.seal(request);
        let asking = self.endpoint.bus.request(&self.peer.subject, &[], request.clone(), self.remaining());
        let answer = asking.await.map_err(|error| match error {
            BusError::NoResponders { .. } => Silence::NobodyListens,
            BusError::TooLarge { limit, .. } => Silence::TooLarge { limit },
            late @ BusError::TimedOut { .. } => Silence::Late(late.to_string()),
            other => Silence::Unknown(other.to_string()),
        })?;
        self.read(counter, &request, &answer.payload)
    }

    fn read(&self, counter: u64, request: &Bytes, answer: &Bytes) -> Result<Said, Silence> {
        let not_proven = || Silence::Unknown(NOT_PROVEN.into());
        let head = Head::read(answer).map_err(|_| not_proven())?;
        if head.kind == Kind::Gone {
            let by = read_gone(&self.endpoint.identity, &self.peer.host, request, answer);
            return by.map(Said::Gone).ok_or_else(not_proven);
        }
        let fields = frame::open(&self.session.keys.reply, answer).map_err(|_| not_proven())?;
        if head.session != self.session.id || head.counter != counter {
            return Err(not_proven());
        }
        let said = match head.kind {
            Kind::Answer => Ok(Said::Answer(fields)),
            Kind::Held => fields::read_held(fields).map(Said::Held),
            Kind::Refused => fields::read_refusal(fields).map(Said::Refused),
            Kind::Part => Ok(Said::Part(fields)),
            Kind::Stored => Ok(Said::Stored),
            _ => return Err(not_proven()),
        };
        said.map_err(|_| not_proven())
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

const NOT_PROVEN: &str = "what came back does not prove who sent it";

impl Silence {
    /// What it means when only a part of the payload was sent.
    fn before_call(self, size: usize) -> NotRun {
        match self {
            Self::NobodyListens => NotRun::NobodyListens,
            Self::NotConnected => NotRun::Disconnected("the connection to NATS is down".into()),
            Self::TooLarge { limit } => NotRun::TooLarge { size, limit },
            Self::Late(_) => NotRun::DeadlineExceeded,
            Self::Unknown(why) => NotRun::Disconnected(why),
        }
    }

    /// What it means when the call was sent.
    fn after_call(self) -> End {
        match self {
            Self::Late(why) | Self::Unknown(why) => End::Unknown(why),
            certain => End::NotRun(certain.before_call(0)),
        }
    }
}

fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
