//! One host that is called, and the session with it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures::{
    FutureExt as _,
    future::{Shared, WeakShared},
};
use tokio::time::Instant;
use wattle_bus::BusError;
use wattle_types::{BoxFuture, HostId, subject};

use super::{
    NotRun,
    endpoint::Endpoint,
    gauge::Gauge,
    handshake::{Granted, Hello},
    keys::Keys,
    table::{MESSAGES_MAX, SESSION_AGE_MAX},
};

/// A host that is called.
pub(super) struct Peer {
    pub(super) host: HostId,
    pub(super) subject: String,
    /// Calls that wait for it.
    pub(super) waiting: Arc<Gauge>,
    current: ArcSwapOption<Outbound>,
    /// The first contact under way, which all wait for that need it. It ends when nobody does.
    opening: Mutex<Option<WeakShared<Opening>>>,
}

type Opening = BoxFuture<'static, Result<Arc<Outbound>, NotRun>>;

/// A session with a host that is called.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) id: u64,
    /// Which start of the host granted it.
    pub(super) incarnation: u64,
    pub(super) keys: Keys,
    counter: AtomicU64,
    /// When it was asked for: not after the host granted it.
    opened: Instant,
}

impl Outbound {
    /// Returns how old it is.
    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Returns the number of the next message.
    pub(super) fn count(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_usable(&self, now: Instant) -> bool {
        /// Messages that those may still send who have got the session.
        const RESERVE: u64 = 1 << 20;
        now < self.opened + SESSION_AGE_MAX && self.counter.load(Ordering::Relaxed) < MESSAGES_MAX - RESERVE
    }
}

impl Peer {
    pub(super) fn new(host: HostId, endpoint: &Endpoint) -> Self {
        Self {
            host,
            subject: subject::rpc_host(&endpoint.identity.lattice, &host),
            waiting: Gauge::new(endpoint.limits.waiting_max),
            current: ArcSwapOption::empty(),
            opening: Mutex::new(None),
        }
    }

    /// Returns the session, made first if there is none.
    pub(super) async fn session(self: &Arc<Self>, endpoint: &Arc<Endpoint>) -> Result<Arc<Outbound>, NotRun> {
        match self.usable() {
            Some(session) => Ok(session),
            None => self.opening(endpoint).await,
        }
    }

    /// Uses a session no more.
    pub(super) fn forget(&self, session: &Arc<Outbound>) {
        self.current.compare_and_swap(session, None);
    }

    /// Returns whether there is a session right now.
    pub(super) fn is_open(&self) -> bool {
        self.usable().is_some()
    }

    fn usable(&self) -> Option<Arc<Outbound>> {
        self.current.load_full().filter(|session| session.is_usable(Instant::now()))
    }

    fn opening(self: &Arc<Self>, endpoint: &Arc<Endpoint>) -> Shared<Opening> {
        let mut slot = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have made it since we looked.
        if let Some(session) = self.usable() {
            let made: Opening = Box::pin(async move { Ok(session) });
            return made.shared();
        }
        let under_way = slot.as_ref().and_then(WeakShared::upgrade).filter(|opening| opening.peek().is_none());
        if let Some(opening) = under_way {
            return opening;
        }
        let (peer, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
        let opening: Opening = Box::pin(async move {
            let session = Arc::new(open(&peer, &endpoint).await?);
            peer.current.store(Some(Arc::clone(&session)));
            Ok(session)
        });
        let opening = opening.shared();
        *slot = opening.downgrade();
        opening
    }
}

async fn open(peer: &Peer, endpoint: &Endpoint) -> Result<Outbound, NotRun> {
    let no_session = |why: &dyn std::fmt::Display| NotRun::NoSession(why.to_string());
    let hello =
        Hello::new(&endpoint.identity, &peer.host, endpoint.surroundings.as_ref()).map_err(|why| no_session(&why))?;
    let opened = Instant::now();
    let answer = contact(peer, endpoint, hello.frame.clone(), endpoint.limits.contact_timeout).await?;
    let Granted { session: id, incarnation, keys } = hello.finish(&endpoint.identity, &answer).map_err(|why| {
        tracing::warn!(host = %peer.host, %why, "there is no session with another host");
        no_session(&why)
    })?;
    tracing::debug!(host = %peer.host, "a session with another host was made");
    Ok(Outbound { id, incarnation, keys, counter: AtomicU64::new(0), opened })
}

async fn contact(peer: &Peer, endpoint: &Endpoint, hello: Bytes, timeout: Duration) -> Result<Bytes, NotRun> {
    let answer = endpoint.bus.request(&peer.subject, &[], hello, timeout).await;
    answer.map(|answer| answer.payload).map_err(|error| match error {
        BusError::NoResponders { .. } => NotRun::NobodyListens,
        BusError::Disconnected(why) => NotRun::Disconnected(why),
        BusError::TimedOut { waited, .. } => NotRun::NoSession(format!("no answer to the first contact in {waited:?}")),
        other => NotRun::Internal(other.to_string()),
    })
}
