//! Sees everything that hosts do and callers are told, and says what must not be.

mod calls;
mod orders;
mod requests;
mod rollouts;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use wattle_types::{HostId, LinkKey};

use calls::Calls;
pub(crate) use calls::{Asked, Called};
use orders::Orders;
use rollouts::Rollouts;

use crate::{log::Log, model::Place};

/// Complaints kept of one run.
const COMPLAINTS_MAX: usize = 50;

/// What was seen so far.
#[derive(Debug)]
pub(crate) struct Seen {
    log: Log,
    complaints: Vec<String>,
    calls: Calls,
    orders: Orders,
    requests: requests::Requests,
    rollouts: Rollouts,
    /// Since when a host serves something without being about to leave.
    serving: BTreeMap<(Place, HostId), Instant>,
    /// When a link was last changed in the shared state.
    links: BTreeMap<LinkKey, Instant>,
    counts: BTreeMap<&'static str, u64>,
}

/// The one who sees. Locked for moments only.
#[derive(Debug)]
pub(crate) struct Witness(Mutex<Seen>);

impl Witness {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen {
            log: Log::new(),
            complaints: Vec::new(),
            calls: Calls::default(),
            orders: Orders::default(),
            requests: requests::Requests::default(),
            rollouts: Rollouts::default(),
            serving: BTreeMap::new(),
            links: BTreeMap::new(),
            counts: BTreeMap::new(),
        }))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into the log.
    pub(crate) fn note(&self, what: &str) {
        self.seen().log.add(what);
    }

    /// Counts something for the summary.
    pub(crate) fn count(&self, what: &'static str) {
        self.seen().count(what);
    }

    /// Says that something is as it must not be.
    pub(crate) fn complain(&self, what: &str) {
        self.seen().complain(what);
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.seen().complaints.clone()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.seen().counts.clone()
    }

    pub(crate) fn log_hash(&self) -> String {
        self.seen().log.hash()
    }

    pub(crate) fn log_text(&self) -> String {
        self.seen().log.text()
    }

    /// Takes in whether a host serves something.
    pub(crate) fn serves(&self, place: &Place, host: HostId, serves: bool) {
        let mut seen = self.seen();
        if serves {
            seen.serving.entry((place.clone(), host)).or_insert_with(Instant::now);
        } else {
            seen.serving.remove(&(place.clone(), host));
        }
    }

    /// Takes in that a host serves nothing any more.
    pub(crate) fn gone(&self, host: HostId) {
        self.seen().serving.retain(|(_, other), _| *other != host);
    }

    /// Takes in that a link was changed in the shared state.
    pub(crate) fn link_changed(&self, key: &LinkKey) {
        self.seen().links.insert(key.clone(), Instant::now());
    }
}

impl Seen {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn complain(&mut self, what: &str) {
        self.log.add(&format!("WRONG: {what}"));
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(what.to_owned());
        }
    }
}
