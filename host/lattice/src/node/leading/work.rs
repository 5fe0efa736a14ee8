//! What a leader does: keep what is declared running, and bring rollouts forward.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use wattle_types::{HostId, control::Measurement};

use super::{
    super::{Node, now, orders::Failed},
    command,
    view::{asked_hosts, is_tried, view},
};
use crate::{
    reconcile::{Action, Declared, Reconciler},
    rollout::{Advancer, Ended, Rollout, RolloutAction},
    spec::{Bucket, Edit, Target, to_bytes},
};

/// How often the hosts of a rollout are asked how its versions do.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// How a host refuses an order of an earlier leader.
const TERM_OUTDATED: &str = "term_outdated";

/// What came of an order or write.
enum Outcome {
    Reconciled { action: Action, result: Result<(), Failed> },
    Rolled { target: Target, action: RolloutAction, result: Result<(), Failed> },
    Measured { target: Target, host: HostId, asked: Instant, measured: Option<Measurement> },
    Written { target: Target, result: Result<(), String> },
}

/// How a host refuses an order when its signature is bad, or is of a key it does not trust.
const UNHEEDED: [&str; 2] = ["request_signature_invalid", "request_not_permitted"];
/// How it does when its clock and ours are too far apart. Who then leads is decided by the clocks, not by refusals.
const CLOCKS_APART: &str = "clocks_apart";
/// How it does when it has begun to stop, which its beats may not have told yet. That says nothing of a new version.
const DRAINING: &str = "draining";
/// The first pause until a rollout is written the same way again; each further one is twice as long.
const WRITE_PAUSE: Duration = Duration::from_millis(250);
/// The longest.
const WRITE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Why a leadership is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// A host has seen a later term.
    Outdated {
        /// That term.
        by: u64,
    },
    /// Most hosts refuse its signature.
    Unheeded,
}

/// One leadership.
pub(super) struct Work {
    node: Node,
    term: u64,
    begun: Instant,
    reconciler: Reconciler,
    rollouts: BTreeMap<Target, Rolling>,
    doing: JoinSet<Outcome>,
    /// A later term somebody has seen.
    outdated_by: Option<u64>,
    /// Hosts that refused the signature of the last order they got.
    unheeding: BTreeSet<HostId>,
}

/// One rollout under way.
struct Rolling {
    advancer: Advancer,
    /// How the versions did when they were last asked for, and when that was.
    measured: BTreeMap<HostId, (Instant, Measurement)>,
    asked: Option<Instant>,
    is_writing: bool,
    written: Option<Written>,
}

/// The last write of a rollout. If the same is to be written again, it was in vain.
struct Written {
    next: Rollout,
    pause: Duration,
    not_before: Instant,
}

impl Rolling {
    /// Returns whether a rollout may be written now, which then counts as done.
    fn may_write(&mut self, now: Instant, next: &Rollout) -> bool {
        let before = self.written.as_ref().filter(|written| written.next == *next);
        if before.is_some_and(|written| now < written.not_before) {
            return false;
        }
        let pause = before.map_or(WRITE_PAUSE, |written| (written.pause * 2).min(WRITE_PAUSE_MAX));
        self.written = Some(Written { next: next.clone(), pause, not_before: now + pause });
        true
    }
}

impl Work {
    /// Begins; nothing is done before `begun`.
    pub(super) fn new(node: Node, term: u64, begun: Instant) -> Self {
        node.keep_standings(&[]);
        let (reconciler, rollouts) = (Reconciler::new(begun), BTreeMap::new());
        let (doing, unheeding) = (JoinSet::new(), BTreeSet::new());
        Self { node, term, begun, reconciler, rollouts, doing, outdated_by: None, unheeding }
    }

    /// Returns the term it is for.
    pub(super) const fn term(&self) -> u64 {
        self.term
    }

    /// Takes in the next outcome; waits for one.
    pub(super) async fn outcome(&mut self) {
        match self.doing.join_next().await {
            Some(Ok(outcome)) => self.take(outcome),
            Some(Err(error)) => tracing::error!(%error, "the task of an order failed"),
            None => std::future::pending().await,
        }
    }

    /// Does what is to be done now, or returns why this leadership is over.
    pub(super) fn go_on(&mut self) -> Option<Over> {
        if let Some(by) = self.outdated_by {
            return Some(Over::Outdated { by });
        }
        let others = self.node.directory().hosts().len().saturating_sub(1);
        if self.unheeding.len() * 2 > others && others > 0 {
            return Some(Over::Unheeded);
        }
        if self.knows_all() {
            self.reconcile();
            self.roll();
        }
        None
    }

    /// Whether the copy of the shared state shows this leadership, and with it all that was written before it. A host
    /// that was cut off may lead before its watch tells what it has missed.
    fn knows_all(&self) -> bool {
        self.node.0.shared.read(|data| data.lease().is_some_and(|lease| lease.term >= self.term))
    }

    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Reconciled { action, result } => {
                if let Err(failed) = &result {
                    tracing::warn!(host = %action.host, target = %action.target, %failed, "an order was not carried out");
                }
                self.note(action.host, result.as_ref().err());
                self.reconciler.outcome(now(), &action, result.map_err(|failed| failed.to_string()));
            }
            Outcome::Rolled { target, action, result } => {
                if let Some(host) = action.host() {
                    self.note(host, result.as_ref().err());
                }
                if let Some(rolling) = self.rollouts.get_mut(&target) {
                    rolling.asked = None;
                    rolling.advancer.outcome(now(), &action, ended(result));
                }
            }
            Outcome::Measured { target, host, asked, measured } => {
                if let Some(rolling) = self.rollouts.get_mut(&target) {
                    match measured {
                        Some(measured) => rolling.measured.insert(host, (asked, measured)),
                        None => rolling.measured.remove(&host),
                    };
                }
            }
            Outcome::Written { target, result } => {
                if let Err(error) = result {
                    tracing::debug!(%target, error, "a rollout was not written");
                }
                if let Some(rolling) = self.rollouts.get_mut(&target) {
                    rolling.is_writing = false;
                }
            }
        }
    }

    /// Notes what an outcome says of this leadership.
    fn note(&mut self, host: HostId, failed: Option<&Failed>) {
        match failed {
            Some(Failed::Refused { code, .. }) if UNHEEDED.contains(&code.as_str()) => {
                self.unheeding.insert(host);
            }
            Some(Failed::Silent(_)) => {}
            Some(Failed::Refused { code, .. }) if code == CLOCKS_APART => {}
            _ => {
                self.unheeding.remove(&host);
            }
        }
        if let Some(Failed::Refused { code, message }) = failed
            && code == TERM_OUTDATED
        {
            // The message ends with the term that was seen.
            let seen = message.rsplit(' ').next().and_then(|term| term.parse().ok());
            self.outdated_by = seen.or(Some(self.term + 1));
        }
    }

    fn reconcile(&mut self) {
        let declared = self.node.0.shared.read(|data| data.is_caught_up().then(|| Declared::from_data(data)));
        let Some(declared) = declared else { return };
        let directory = self.node.directory().clone();
        for action in self.reconciler.plan(now(), &declared, &directory) {
            tracing::info!(host = %action.host, target = %action.target, work = command::name_of(&action.work), "ordered");
            let (node, term) = (self.node.clone(), self.term);
            self.doing.spawn(async move {
                let result = command::reconcile(&node, &action, term).await;
                Outcome::Reconciled { action, result }
            });
        }
        self.node.keep_standings(self.reconciler.standings());
    }

    fn roll(&mut self) {
        let directory = self.node.directory().clone();
        let rollouts: Vec<(Rollout, Option<String>)> = self.node.0.shared.read(|data| {
            // One that has ended may have left a trial behind.
            let is_known = |rollout: &&Rollout| rollout.is_active() || is_tried(&directory, &rollout.target);
            let known = data.rollouts().filter(is_known);
            let declared = |target| data.declared(target).map(|declared| declared.reference.to_owned());
            known.map(|rollout| (rollout.clone(), declared(&rollout.target))).collect()
        });
        let targets: BTreeSet<_> = rollouts.iter().map(|(rollout, _)| rollout.target.clone()).collect();
        self.rollouts.retain(|target, _| targets.contains(target));
        for (rollout, declared) in rollouts {
            self.advance(&rollout, declared);
        }
    }

    fn advance(&mut self, rollout: &Rollout, declared: Option<String>) {
        let begun = self.begun;
        let rolling = self.rollouts.entry(rollout.target.clone()).or_insert_with(|| Rolling {
            advancer: Advancer::new(begun),
            measured: BTreeMap::new(),
            asked: None,
            is_writing: false,
            written: None,
        });
        if rolling.is_writing {
            return;
        }
        let view = view(&self.node, rollout, declared, &rolling.measured);
        let step = rolling.advancer.advance(now(), rollout, &view);
        let is_due = rolling.asked.is_none_or(|asked| now().saturating_duration_since(asked) >= MEASURE_EVERY);
        let asks = if rollout.is_active() && is_due { asked_hosts(rollout, &view) } else { Vec::new() };
        if !asks.is_empty() {
            rolling.asked = Some(now());
        }
        let next = step.next.filter(|next| rolling.may_write(now(), next));
        rolling.is_writing = next.is_some();
        if let Some(next) = next {
            self.write(rollout.clone(), next);
        }
        for action in step.actions {
            self.act(rollout.target.clone(), action);
        }
        for host in asks {
            self.measure(rollout.target.clone(), host);
        }
    }

    /// Writes a rollout's next state, if it still is as it was.
    fn write(&mut self, before: Rollout, next: Rollout) {
        let shared = self.node.0.shared.clone();
        tracing::info!(target = %next.target, phase = ?next.phase, reason = next.reason, "a rollout goes on");
        self.doing.spawn(async move {
            let target = next.target.clone();
            let edit = |current: Option<&[u8]>| match current.and_then(|bytes| serde_json::from_slice(bytes).ok()) {
                Some(stored) if before == stored => to_bytes(&next).map(Edit::Write),
                _ => Ok(Edit::Unchanged),
            };
            let result = shared.edit(Bucket::Lattice, &target.rollout_key(), edit).await;
            Outcome::Written { target, result: result.map(drop).map_err(|error| error.to_string()) }
        });
    }

    fn act(&mut self, target: Target, action: RolloutAction) {
        let (node, term) = (self.node.clone(), self.term);
        tracing::info!(%target, ?action, "ordered by a rollout");
        self.doing.spawn(async move {
            let result = command::roll(&node, &target, &action, term).await;
            Outcome::Rolled { target, action, result }
        });
    }

    fn measure(&mut self, target: Target, host: HostId) {
        let (node, term) = (self.node.clone(), self.term);
        let asked = now();
        self.doing.spawn(async move {
            let measured = command::measure(&node, &target, host, term).await;
            Outcome::Measured { target, host, asked, measured }
        });
    }
}

/// Returns what the outcome of an order says of the version it was about.
fn ended(result: Result<(), Failed>) -> Ended {
    match result {
        Ok(()) => Ended::Done,
        // That it is we who ask is what it refuses, or that it is asked at all.
        Err(Failed::Refused { code, .. })
            if [CLOCKS_APART, DRAINING].contains(&code.as_str()) || UNHEEDED.contains(&code.as_str()) =>
        {
            Ended::Unknown
        }
        Err(Failed::Refused { message, .. }) => Ended::Refused(message),
        Err(Failed::Silent(why)) => {
            tracing::debug!(why, "a host of a rollout did not answer");
            Ended::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures::actor, rollout::Phase};

    #[test]
    fn who_drains_or_does_not_take_our_orders_says_nothing_of_the_version() {
        let refused = |code: &str| ended(Err(Failed::Refused { code: code.into(), message: "why".into() }));
        for code in ["draining", "clocks_apart", "request_signature_invalid", "request_not_permitted"] {
            assert_eq!(refused(code), Ended::Unknown, "{code}");
        }
        assert_eq!(refused("wasm_malformed"), Ended::Refused("why".into()));
        assert_eq!([ended(Ok(())), ended(Err(Failed::Silent("why".into())))], [Ended::Done, Ended::Unknown]);
    }

    #[test]
    fn a_rollout_that_cannot_be_written_is_tried_less_and_less() {
        let now = Instant::now();
        let mut rolling = Rolling {
            advancer: Advancer::new(now),
            measured: BTreeMap::new(),
            asked: None,
            is_writing: false,
            written: None,
        };
        let one = Rollout::new(Target::Actor(actor(1)), "v1".into(), "v2".into(), "today".into());
        let tries = (0..600).filter(|tick| rolling.may_write(now + Duration::from_millis(tick * 100), &one)).count();
        assert!(tries <= 9, "{tries} in a minute");
        let two = Rollout { phase: Phase::Declaring, ..one };
        assert!(rolling.may_write(now + Duration::from_secs(60), &two), "another one need not wait");
    }
}
