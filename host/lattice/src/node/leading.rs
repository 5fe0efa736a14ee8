//! The task of every host that takes part in choosing a leader, and does the leader's work while it is one.
//!
//! What is decided is decided in [`leader`](crate::leader), [`reconcile`](crate::reconcile) and
//! [`rollout`](crate::rollout). Orders carry the leader's term; they and their outcomes belong to one leadership and
//! end with it.

mod work;

use std::time::Instant;

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use wattle_bus::{Expect, KvError};

use super::{Node, now};
use crate::{
    leader::{Effect, Event, Lease, TICK_EVERY},
    spec::{Bucket, LEADER_KEY, to_bytes},
};
use work::Work;

/// How long one write of the lease may take before it counts as failed.
const WRITE_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(450);

/// What came of a write of the lease.
struct Wrote {
    renewed: u64,
    result: Result<u64, KvError>,
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
    /// By then every host must have been heard.
    heard_all: Instant,
}

/// Takes part until the node leaves.
pub(super) async fn lead(node: Node) {
    let mut ticks = interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = node.0.shared.changes();
    let heard_all = now() + node.0.beat_every.mul_f32(1.5);
    let (writes, left) = (JoinSet::new(), node.0.left.clone());
    let connection = (true, node.0.bus.connections());
    let mut leading = Leading { node, writes, work: None, shown: None, was_connected: true, connection, heard_all };
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
                    self.work = Some(Work::new(self.node.clone(), term, self.heard_all.max(now())));
                }
                Effect::Follow => {
                    tracing::info!("this host does not lead the lattice any more");
                    self.work = None;
                }
            }
        }
    }

    fn write(&mut self, lease: Lease, expect: Expect) {
        let store = self.node.0.shared.store(Bucket::Lattice).clone();
        let renewed = lease.renewed;
        self.writes.spawn(async move {
            let unwritable = |error: crate::spec::EditError| KvError::Unavailable(error.to_string());
            let writing = async { store.put(LEADER_KEY, to_bytes(&lease).map_err(unwritable)?, expect).await };
            let result = tokio::time::timeout(WRITE_TIMEOUT, writing).await;
            Wrote { renewed, result: result.unwrap_or(Err(KvError::TimedOut { waited: WRITE_TIMEOUT })) }
        });
    }

    fn wrote(&mut self, wrote: Result<Wrote, tokio::task::JoinError>) {
        match wrote {
            Ok(Wrote { renewed, result: Ok(revision) }) => self.handle(Event::Written { renewed, revision }),
            Ok(Wrote { renewed, result: Err(error) }) => {
                tracing::debug!(%error, "the lease was not written");
                self.handle(Event::NotWritten { renewed });
            }
            Err(error) => tracing::error!(%error, "the task that writes the lease failed"),
        }
    }

    /// Shows the election the lease, if it has changed.
    fn look(&mut self) {
        let seen = self.node.0.shared.read(|data| {
            let revision = data.revision_of(Bucket::Lattice, LEADER_KEY).unwrap_or_default();
            data.is_caught_up().then(|| (data.lease().cloned(), revision))
        });
        let Some(seen) = seen.filter(|seen| self.shown.as_ref() != Some(seen)) else { return };
        self.shown = Some(seen.clone());
        self.handle(Event::Saw { lease: seen.0, revision: seen.1 });
    }

    fn check_connection(&mut self) {
        let is_connected = self.node.0.bus.is_connected();
        let connection = (is_connected, self.node.0.bus.connections());
        if std::mem::replace(&mut self.connection, connection) != connection {
            // Answers may be lost: whoever waits for one looks whether it can still come.
            self.node.lost_some();
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
        if let Some(term) = self.work.as_mut().and_then(Work::go_on) {
            self.handle(Event::Refused { term });
        }
    }
}
