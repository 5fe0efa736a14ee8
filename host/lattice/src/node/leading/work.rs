//! What a leader does: keep what is declared running, and bring rollouts forward.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinSet;
use wattle_types::{
    HostId,
    control::{Command, Measurement},
};

use super::super::{Node, now, orders::Failed};
use crate::{
    directory::DirectorySnapshot,
    reconcile::{Action, Declared, Reconciler, Work as Task},
    rollout::{Advancer, Ended, Phase, Rollout, RolloutAction, Running, View},
    spec::{Bucket, Edit, EditError, Target, to_bytes},
};

/// How long a host may take to carry out an order, fetching and compiling included.
const ORDER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to answer a question.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
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
                    let ended = match result {
                        Ok(()) => Ended::Done,
                        // That it is we who ask is what it refuses.
                        Err(Failed::Refused { code, .. })
                            if code == CLOCKS_APART || UNHEEDED.contains(&code.as_str()) =>
                        {
                            Ended::Unknown
                        }
                        Err(Failed::Refused { message, .. }) => Ended::Refused(message),
                        Err(Failed::Silent(why)) => {
                            tracing::debug!(why, "a host of a rollout did not answer");
                            Ended::Unknown
                        }
                    };
                    rolling.advancer.outcome(now(), &action, ended);
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
            tracing::info!(host = %action.host, target = %action.target, work = name_of(&action.work), "ordered");
            let command = self.command(&action);
            let (node, term) = (self.node.clone(), self.term);
            self.doing.spawn(async move {
                let result = match command {
                    Ok(command) => done_anyway(node.order(action.host, &command, term, ORDER_TIMEOUT).await),
                    Err(failed) => Err(failed),
                };
                Outcome::Reconciled { action, result }
            });
        }
    }

    fn command(&self, action: &Action) -> Result<Command, Failed> {
        Ok(match (&action.work, &action.target) {
            (Task::StartActor { declared }, _) => Command::StartActor {
                reference: declared.reference.clone(),
                max_in_flight: declared.max_in_flight,
                annotations: declared.annotations.clone(),
                declared: true,
            },
            (Task::StartProvider { declared }, target) => {
                let mut config = BTreeMap::new();
                for name in &declared.configs {
                    let values = self.node.0.shared.read(|data| data.config(name).cloned());
                    let missing = || Failed::Silent(format!("there is no configuration {name:?}"));
                    config.extend(values.ok_or_else(missing)?);
                }
                config.extend(declared.config.clone());
                Command::StartProvider {
                    reference: declared.reference.clone(),
                    provider: provider_of(target),
                    config,
                    annotations: declared.annotations.clone(),
                    declared: true,
                }
            }
            (Task::Stop, Target::Actor(actor)) => Command::StopActor { actor: actor.to_string() },
            (Task::Stop, Target::Provider(provider)) => Command::StopProvider { provider: provider.clone() },
            (Task::Resize { max_in_flight }, target) => {
                Command::ResizeActor { actor: target.to_string(), max_in_flight: *max_in_flight }
            }
            (Task::Update { reference }, target) => update(target, reference, true),
        })
    }

    fn roll(&mut self) {
        let directory = self.node.directory().clone();
        let rollouts: Vec<(Rollout, Option<String>)> = self.node.0.shared.read(|data| {
            let declared = |target: &Target| match target {
                Target::Actor(id) => data.actor(id).map(|declared| declared.reference.clone()),
                Target::Provider(id) => data.provider(id).map(|declared| declared.reference.clone()),
            };
            // One that has ended may have left a trial behind.
            let is_known = |rollout: &&Rollout| rollout.is_active() || is_tried(&directory, &rollout.target);
            let known = data.rollouts().filter(is_known);
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
            let result = carry_out(&node, &target, &action, term).await;
            Outcome::Rolled { target, action, result }
        });
    }

    fn measure(&mut self, target: Target, host: HostId) {
        let (node, term) = (self.node.clone(), self.term);
        let asked = now();
        self.doing.spawn(async move {
            let command = Command::MeasureActor { actor: target.to_string() };
            let answer = node.order(host, &command, term, ASK_TIMEOUT).await;
            let measured = answer.ok().and_then(|answer| serde_json::from_value(answer).ok());
            Outcome::Measured { target, host, asked, measured }
        });
    }
}

/// What was to be reached is reached, if not by this order.
fn done_anyway(result: Result<Value, Failed>) -> Result<(), Failed> {
    match result {
        Ok(_) => Ok(()),
        Err(Failed::Refused { code, .. })
            if ["actor_running", "provider_running", "actor_not_found", "provider_not_found"]
                .contains(&code.as_str()) =>
        {
            Ok(())
        }
        Err(failed) => Err(failed),
    }
}

async fn carry_out(node: &Node, target: &Target, action: &RolloutAction, term: u64) -> Result<(), Failed> {
    let actor = target.to_string();
    let (host, command) = match action {
        RolloutAction::Declare { .. } | RolloutAction::Undeclare { .. } => {
            let is_leader = || node.leads() == Some(term);
            let edit = |current: Option<&[u8]>| declared(current, action, is_leader());
            let result = node.0.shared.edit(Bucket::Lattice, &target.declared_key(), edit).await;
            return result.map(drop).map_err(|error| Failed::Silent(error.to_string()));
        }
        RolloutAction::StartCanary { reference, percent, force, host } => {
            let (reference, percent, force) = (reference.clone(), *percent, *force);
            (*host, Command::TryActor { actor, reference, percent, force })
        }
        RolloutAction::AbortCanary { host } => (*host, Command::WithdrawActor { actor }),
        RolloutAction::Promote { host } => (*host, Command::PromoteActor { actor }),
        RolloutAction::Update { host, reference, force } => (*host, update(target, reference, *force)),
    };
    node.order(host, &command, term, ORDER_TIMEOUT).await.map(drop)
}

/// Returns what is declared from now on. Who does not lead any more, as after a long pause, declares nothing: its write
/// finds the entry changed, and asks here again.
fn declared(current: Option<&[u8]>, action: &RolloutAction, is_leader: bool) -> Result<Edit, EditError> {
    let Some(current) = current.filter(|_| is_leader) else { return Ok(Edit::Unchanged) };
    // Either kind of declaration has both fields; whatever else is in it stays.
    let unreadable = |error: serde_json::Error| EditError::Unreadable(error.to_string());
    let mut fields: serde_json::Map<String, Value> = serde_json::from_slice(current).map_err(unreadable)?;
    match action {
        RolloutAction::Declare { reference, previous } => {
            fields.insert("reference".into(), reference.as_str().into());
            fields.insert("previous".into(), previous.as_str().into());
        }
        // Written even if it stays as it is: an earlier leader's declaration that is on its way then comes to nothing.
        RolloutAction::Undeclare { reference, back_to } => {
            if fields.get("reference").and_then(Value::as_str) == Some(reference) {
                fields.insert("reference".into(), back_to.as_str().into());
            }
        }
        _ => return Ok(Edit::Unchanged),
    }
    to_bytes(&fields).map(Edit::Write)
}

fn update(target: &Target, reference: &str, force: bool) -> Command {
    let reference = reference.to_owned();
    match target {
        Target::Actor(actor) => Command::UpdateActor { actor: actor.to_string(), reference, force },
        Target::Provider(provider) => {
            Command::UpdateProvider { provider: provider.clone(), reference, config: None, force }
        }
    }
}

fn provider_of(target: &Target) -> Option<wattle_types::ProviderId> {
    match target {
        Target::Provider(provider) => Some(provider.clone()),
        Target::Actor(_) => None,
    }
}

/// Whether any host has a version of an actor on trial.
fn is_tried(directory: &DirectorySnapshot, target: &Target) -> bool {
    let Target::Actor(actor) = target else { return false };
    let beats = directory.hosts().values().map(|known| &known.beat);
    beats.filter_map(|beat| beat.actors.get(actor)).any(|running| running.trial.is_some())
}

/// What the leader sees of the hosts that run a rollout's target.
fn view(
    node: &Node,
    rollout: &Rollout,
    declared: Option<String>,
    measured: &BTreeMap<HostId, (Instant, Measurement)>,
) -> View {
    let directory = node.directory();
    let there = directory.hosts().iter().map(|(host, known)| (*host, known.beat.incarnation));
    let hosts = directory.hosts().iter().filter_map(|(host, known)| {
        let (reference, trial) = match &rollout.target {
            Target::Actor(actor) => known.beat.actors.get(actor).map(|it| (&it.reference, it.trial.clone()))?,
            Target::Provider(provider) => (&known.beat.providers.get(provider)?.reference, None),
        };
        // What was measured before the host changed says nothing of what runs now.
        let measured = measured.get(host).filter(|(_, it)| it.reference == *reference && it.trial == trial);
        let is_provider = matches!(rollout.target, Target::Provider(_));
        let running = Running {
            reference: reference.clone(),
            trial,
            old: measured.and_then(|(_, measured)| measured.old).unwrap_or_default(),
            new: measured.map(|(_, measured)| measured.new).unwrap_or_default(),
            measured: measured.map(|(asked, _)| *asked).or_else(|| is_provider.then(now)),
            is_draining: known.beat.draining,
        };
        Some((*host, running))
    });
    View { declared, hosts: hosts.collect(), there: there.collect() }
}

/// Hosts whose versions are to be measured: those a rollout is at, or chooses from. Providers are not.
fn asked_hosts(rollout: &Rollout, view: &View) -> Vec<HostId> {
    match (&rollout.target, rollout.phase) {
        (Target::Provider(_), _) => Vec::new(),
        (_, Phase::Canary { host } | Phase::Updating { host }) => vec![host],
        _ => view.hosts.keys().copied().collect(),
    }
}

const fn name_of(work: &Task) -> &'static str {
    match work {
        Task::StartActor { .. } | Task::StartProvider { .. } => "start",
        Task::Stop => "stop",
        Task::Resize { .. } => "resize",
        Task::Update { .. } => "update",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::actor;

    #[test]
    fn only_who_leads_declares_and_taking_back_writes_in_any_case() {
        let declare = RolloutAction::Declare { reference: "v2".into(), previous: "v1".into() };
        let undeclare = RolloutAction::Undeclare { reference: "v2".into(), back_to: "v1".into() };
        let written = |stored: &[u8], action| match declared(Some(stored), action, true).unwrap() {
            Edit::Write(bytes) => serde_json::from_slice::<Value>(&bytes).unwrap(),
            Edit::Unchanged => Value::Null,
        };
        let stored =
            |reference: &str| serde_json::to_vec(&serde_json::json!({ "reference": reference, "x": 1 })).unwrap();
        let now = written(&stored("v1"), &declare);
        assert_eq!(now, serde_json::json!({ "reference": "v2", "previous": "v1", "x": 1 }));
        assert_eq!(declared(Some(&stored("v1")), &declare, false), Ok(Edit::Unchanged));
        assert_eq!(declared(None, &declare, true), Ok(Edit::Unchanged));
        for (before, after) in [("v1", "v1"), ("v2", "v1"), ("v3", "v3")] {
            assert_eq!(written(&stored(before), &undeclare)["reference"], after);
        }
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
