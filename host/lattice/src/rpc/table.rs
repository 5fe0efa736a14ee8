//! The sessions that other hosts opened here.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use wattle_types::{HostId, signed::CLOCKS_APART_MAX_SECS};

use super::{
    Limits,
    gauge::Gauge,
    handshake::{NoSession, Proven},
    keys::Keys,
    window::Window,
};

/// How long a session is used.
pub(super) const SESSION_AGE_MAX: Duration = Duration::from_secs(3600);
/// How long it is taken besides, for calls under way.
const SESSION_GRACE: Duration = Duration::from_secs(600);
/// Messages of one session in one direction.
pub(super) const MESSAGES_MAX: u64 = 1 << 32;
/// Sessions of one host. It needs two while it renews one; a process of it that died may have left some.
const SESSIONS_PER_HOST_MAX: usize = 4;
/// First contacts remembered: as many as the throttle lets through while they can be fresh.
const NONCES_MAX: usize = 160 * 1024;

/// A session another host opened.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) id: u64,
    pub(super) from: HostId,
    pub(super) keys: Keys,
    pub(super) guest: Arc<Guest>,
    window: Mutex<Window>,
    opened: Instant,
    /// Milliseconds since it was opened.
    used: AtomicU64,
}

/// What one host uses here, over all its sessions.
#[derive(Debug)]
pub(super) struct Guest {
    /// Its calls.
    pub(super) running: Arc<Gauge>,
    /// Bytes kept for it.
    pub(super) kept: Arc<Gauge>,
}

impl Inbound {
    /// Takes a message that is proven, once.
    pub(super) fn take(&self, counter: u64, now: Instant) -> bool {
        let used = u64::try_from(now.duration_since(self.opened).as_millis()).unwrap_or(u64::MAX);
        self.used.fetch_max(used, Ordering::Relaxed);
        self.window.lock().unwrap_or_else(PoisonError::into_inner).take(counter)
    }

    /// Returns how long ago a message was sent, as far as that is known: its sender counts from before we do.
    pub(super) fn since(&self, sent: Duration, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened).saturating_sub(sent)
    }

    fn last_used(&self) -> Instant {
        self.opened + Duration::from_millis(self.used.load(Ordering::Relaxed))
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    sessions: HashMap<u64, Arc<Inbound>>,
    /// Its sessions, oldest first.
    guests: HashMap<HostId, (Arc<Guest>, VecDeque<u64>)>,
    nonces: Nonces,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, sessions: HashMap::new(), guests: HashMap::new(), nonces: Nonces::default() }
    }

    /// Returns the session of a message, unless it has ended.
    pub(super) fn find(&mut self, id: u64, counter: u64, now: Instant) -> Option<Arc<Inbound>> {
        let session = self.sessions.get(&id)?;
        if now >= session.opened + SESSION_AGE_MAX + SESSION_GRACE {
            self.remove(id);
            return None;
        }
        // Nothing is proven of the counter yet: it must not end the session.
        (counter <= MESSAGES_MAX).then(|| Arc::clone(session))
    }

    /// Takes a first contact once, and checks that `id` is free.
    pub(super) fn take_contact(&mut self, proven: &Proven, id: u64, unix_now: u64) -> Result<(), NoSession> {
        if id == 0 || self.sessions.contains_key(&id) {
            return Err(NoSession::Busy);
        }
        self.nonces.take(proven.nonce, proven.sent_at, unix_now)
    }

    /// Begins a session.
    pub(super) fn insert(&mut self, id: u64, from: HostId, keys: Keys, now: Instant) {
        let (guest, ids) = self.guests.entry(from).or_insert_with(|| (Guest::new(&self.limits), VecDeque::new()));
        ids.push_back(id);
        let oldest = if ids.len() > SESSIONS_PER_HOST_MAX { ids.front().copied() } else { None };
        let session = Inbound {
            id,
            from,
            keys,
            guest: Arc::clone(guest),
            window: Mutex::default(),
            opened: now,
            used: AtomicU64::new(0),
        };
        self.sessions.insert(id, Arc::new(session));
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        if self.sessions.len() > self.limits.sessions_max {
            // Only when the table is full and a new host comes: looking at all is cheaper than keeping them in order.
            let unused = self.sessions.values().min_by_key(|session| (session.last_used(), session.id));
            if let Some(id) = unused.map(|session| session.id) {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(session) = self.sessions.remove(&id) else { return };
        let Some((_, ids)) = self.guests.get_mut(&session.from) else { return };
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            self.guests.remove(&session.from);
        }
    }
}

impl Guest {
    fn new(limits: &Limits) -> Arc<Self> {
        let running = Gauge::new(limits.running_per_host_max);
        Arc::new(Self { running, kept: Gauge::new(limits.kept_len_per_host_max) })
    }
}

/// First contacts that could be repeated while they pass for fresh.
#[derive(Debug, Default)]
struct Nonces {
    seen: HashSet<[u8; 16]>,
    /// With the second in which they may be forgotten, in order of arrival.
    order: VecDeque<(u64, [u8; 16])>,
}

impl Nonces {
    fn take(&mut self, nonce: [u8; 16], sent_at: u64, now: u64) -> Result<(), NoSession> {
        while let Some((_, old)) = self.order.pop_front_if(|(until, _)| *until < now) {
            self.seen.remove(&old);
        }
        if sent_at.abs_diff(now) > CLOCKS_APART_MAX_SECS {
            return Err(NoSession::Stale);
        }
        if self.seen.contains(&nonce) {
            return Err(NoSession::Repeated);
        }
        if self.seen.len() >= NONCES_MAX {
            return Err(NoSession::Busy);
        }
        self.seen.insert(nonce);
        self.order.push_back((now.saturating_add(2 * CLOCKS_APART_MAX_SECS), nonce));
        Ok(())
    }
}

/// Bounds how often per second something costly is done for somebody not proven yet.
#[derive(Debug)]
pub(super) struct Throttle {
    free_at: Instant,
}

impl Throttle {
    const EACH: Duration = Duration::from_millis(1);
    const BURST: Duration = Duration::from_secs(2);

    pub(super) const fn new(now: Instant) -> Self {
        Self { free_at: now }
    }

    /// Takes one turn, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let begin = self.free_at.max(now);
        let is_free = begin - now < Self::BURST;
        self.free_at = if is_free { begin + Self::EACH } else { self.free_at };
        is_free
    }
}

#[cfg(test)]
mod tests;
