//! The task of every host that takes part in choosing a leader, and does the leader's work while it is one.
//!
//! What is decided is decided in [`leader`](crate::leader), [`reconcile`](crate::reconcile) and
//! [`rollout`](crate::rollout). Orders carry the leader's term; they and their outcomes belong to one leadership and
//! end with it.

mod command;
mod view;
mod work;

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use wattle_bus::{Expect, KvError, KvLast, KvStore};

use super::{Node, now};
use crate::{
    leader::{Effect, Event, Lease, TICK_EVERY},
    spec::{Bucket, EditError, Entry, LEADER_KEY, parse, to_bytes},
};
use work::{Over, Work};

/// How long one write of the lease may take before it counts as failed.
const WRITE_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(450);

/// What came of a write of the lease.
struct Wrote {
    renewed: u64,
    result: Result<u64, NotWritten>,
}

/// Why the lease was not written.
enum NotWritten {
    Failed(KvError),
    /// It is not as it was expected: this is what the store has.
    Conflicted {
        expected: u64,
        lease: Option<Lease>,
        revision: u64,
    },
}

impl From<KvError> for NotWritten {
    fn from(error: KvError) -> Self {
        Self::Failed(error)
    }
}

struct Leading {
    node: Node,
    writes: JoinSet<Wrote>,
    /// What a leader does; `None` while another one leads.
    work: Option<Work>,
    /// The lease as it was last shown to the election.
    shown: Option<(Option<Lease>, u64)>,
    was_connected: bool,
    /// Whether there is a connection, and how many there have been.
    connection: (bool, u64),
    /// How many times the watch had begun anew when the lease was shown last.
    resets: u64,
    /// Whether others agree with another clock than ours.
    is_outvoted: bool,
}

/// Takes part until the node leaves.
pub(super) async fn lead(node: Node) {
    let mut ticks = interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = node.0.shared.changes();
    let (writes, left) = (JoinSet::new(), node.0.left.clone());
    let connection = (true, node.0.bus.connections());
    let (shown, was_connected, resets, is_outvoted) = (None, true, 0, false);
    let mut leading = Leading { node, writes, work: None, shown, was_connected, connection, resets, is_outvoted };
    loop {
        tokio::select! {
            biased;
            () = left.cancelled() => break,
            Some(wrote) = leading.writes.join_next() => leading.wrote(wrote),
            () = outcome(&mut leading.work) => leading.work_on(),
            changed = changes.changed() => {
                if changed.is_err() {
                    break;
                }
                leading.look();
                leading.work_on();
            }
            _ = ticks.tick() => {
                leading.check_connection();
                leading.look_at_clock();
                leading.handle(Event::Tick);
                leading.work_on();
            }
        }
    }
    leading.handle(Event::Resign);
    while leading.writes.join_next().await.is_some() {}
}

/// Waits for the next thing that comes of an order; for ever while nothing is ordered.
async fn outcome(work: &mut Option<Work>) {
    match work {
        Some(work) => work.outcome().await,
        None => std::future::pending().await,
    }
}

impl Leading {
    fn handle(&mut self, event: Event) {
        let effects = self.node.election().handle(now(), event);
        for effect in effects {
            match effect {
                Effect::Write { lease, expect } => self.write(lease, expect),
                Effect::Lead { term } => {
                    tracing::info!(term, "this host leads the lattice");
                    self.work = Some(self.work(term));
                }
                Effect::Follow => {
                    tracing::info!("this host does not lead the lattice any more");
                    self.work = None;
                }
            }
        }
    }

    /// Begins a leader's work, once every host can have been heard.
    fn work(&self, term: u64) -> Work {
        let heard_all = self.node.hear().unwrap_or_else(now);
        Work::new(self.node.clone(), term, heard_all.max(now()))
    }

    fn write(&mut self, lease: Lease, expect: Expect) {
        let store = self.node.0.shared.store(Bucket::Lattice).clone();
        let renewed = lease.renewed;
        self.writes.spawn(async move {
            let result = tokio::time::timeout(WRITE_TIMEOUT, put(store.as_ref(), &lease, expect)).await;
            Wrote { renewed, result: result.unwrap_or(Err(KvError::TimedOut { waited: WRITE_TIMEOUT }.into())) }
        });
    }

    fn wrote(&mut self, wrote: Result<Wrote, tokio::task::JoinError>) {
        match wrote {
            Ok(Wrote { renewed, result: Ok(revision) }) => self.handle(Event::Written { renewed, revision }),
            Ok(Wrote { renewed, result: Err(NotWritten::Conflicted { expected, lease, revision }) }) => {
                // What is gone without a trace was not deleted: more may be gone.
                if revision == 0 {
                    self.node.0.shared.doubt();
                }
                self.handle(Event::Conflicted { renewed, expected, lease, revision });
            }
            Ok(Wrote { renewed, result: Err(NotWritten::Failed(error)) }) => {
                tracing::debug!(%error, "the lease was not written");
                self.handle(Event::NotWritten { renewed });
            }
            Err(error) => tracing::error!(%error, "the task that writes the lease failed"),
        }
    }

    /// Shows the election the lease, if it has changed.
    fn look(&mut self) {
        let resets = self.node.0.shared.resets();
        if std::mem::replace(&mut self.resets, resets) != resets {
            self.shown = None;
            self.handle(Event::Anew);
        }
        let seen =
            self.node.0.shared.read(|data| data.is_caught_up().then(|| (data.lease().cloned(), data.lease_revision())));
        let Some(seen) = seen.filter(|seen| self.shown.as_ref() != Some(seen)) else { return };
        self.shown = Some(seen.clone());
        self.handle(Event::Saw { lease: seen.0, revision: seen.1 });
    }

    /// Tells the election when our clock turns out to be the wrong one, or right again.
    fn look_at_clock(&mut self) {
        let is_outvoted = self.node.clocks().is_outvoted();
        if std::mem::replace(&mut self.is_outvoted, is_outvoted) != is_outvoted {
            self.handle(Event::Outvoted(is_outvoted));
        }
    }

    fn check_connection(&mut self) {
        let is_connected = self.node.0.bus.is_connected();
        let connection = (is_connected, self.node.0.bus.connections());
        if std::mem::replace(&mut self.connection, connection) != connection {
            // Answers may be lost: whoever waits for one looks whether it can still come.
            self.node.lost_some();
            if let Some(term) = self.work.as_ref().map(Work::term) {
                // Hosts may seem gone that are not back yet, and outcomes of orders are lost.
                self.work = Some(self.work(term));
            }
        }
        if std::mem::replace(&mut self.was_connected, is_connected) != is_connected {
            if is_connected {
                self.shown = None;
            }
            self.handle(if is_connected { Event::Connected } else { Event::Disconnected });
        }
        if is_connected {
            self.look();
        }
    }

    /// Does what a leader does, if this host leads at this very moment.
    fn work_on(&mut self) {
        if self.node.leads().is_none() {
            return;
        }
        match self.work.as_mut().and_then(Work::go_on) {
            Some(Over::Outdated { by }) => self.handle(Event::Refused { term: by }),
            Some(Over::Unheeded) => {
                tracing::error!("most hosts refuse this leader's signature: check this host's cluster key");
                self.handle(Event::StepDown);
            }
            None => {}
        }
    }
}

/// Writes the lease; if it is not as it should be, returns what it is.
async fn put(store: &dyn KvStore, lease: &Lease, expect: Expect) -> Result<u64, NotWritten> {
    let unwritable = |error: EditError| KvError::Unavailable(error.to_string());
    let error = match store.put(LEADER_KEY, to_bytes(lease).map_err(unwritable)?, expect).await {
        Ok(revision) => return Ok(revision),
        Err(error) => error,
    };
    if !matches!(error, KvError::Conflict { .. }) {
        return Err(error.into());
    }
    let expected = if let Expect::Revision(revision) = expect { revision } else { 0 };
    let Some(KvLast { revision, value }) = store.last(LEADER_KEY).await? else {
        return Err(NotWritten::Conflicted { expected, lease: None, revision: 0 });
    };
    let lease = match value.map(|value| parse(Bucket::Lattice, LEADER_KEY, &value)) {
        Some(Entry::Lease(lease)) => Some(lease),
        _ => None,
    };
    Err(NotWritten::Conflicted { expected, lease, revision })
}
