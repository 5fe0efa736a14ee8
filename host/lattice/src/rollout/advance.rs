//! How a rollout goes on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use wattle_types::HostId;

use super::{Canary, Phase, Rollout, RolloutAction, Running, Step, View, judge};

/// Calls of the new version that are enough to judge it.
const CALLS_MIN: u64 = 50;
/// How long each host is watched after it went over.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a host may take to do what it was asked, fetching and compiling included.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a host may be gone in its turn.
const RETURNS_WITHIN: Duration = Duration::from_secs(30);
/// How long what was asked for may take to end. The end is told with [`Advancer::outcome`]; this is for one that
/// never is.
const ENDS_WITHIN: Duration = Duration::from_secs(65);
/// How long after its end it may take to show, or until a host that did not answer is asked again.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// What every host must keep to after it went over, when there is no canary to say otherwise.
const LIMITS: Canary = Canary { percent: 100, watch_secs: 3, max_error_percent: 10.0, max_latency_factor: 10.0 };

/// Fewer calls tell little, but these tell enough when most of them fail.
const CALLS_FEW: u64 = 10;
/// What a host must keep to that had few calls. The slowest of them may be the first, which is slow.
const FEW: Canary = Canary { max_error_percent: 50.0, max_latency_factor: f64::INFINITY, ..LIMITS };

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// The host said no, for this reason.
    Refused(String),
    /// Nobody knows: there was no answer.
    Unknown,
}

/// What became of something a host was asked for.
#[derive(Debug)]
struct Asked {
    /// Until when it may still show, and is not repeated.
    until: Instant,
    /// It certainly was not done.
    is_refused: bool,
}

/// What a leader remembers of one rollout between two steps. A new leader begins with a new one.
#[derive(Debug)]
pub struct Advancer {
    /// The phase, since when it has been watched, and since when its host does what it should.
    watched: Option<(Phase, Instant)>,
    /// Whether an earlier leader may have asked for something in this phase.
    is_taken_over: bool,
    well_since: Option<Instant>,
    /// Since when its host is not there, and whether it drained before.
    missing_since: Option<Instant>,
    drains: bool,
    /// What hosts were asked for.
    asked: BTreeMap<RolloutAction, Asked>,
    /// The same for the declaration.
    declares: Option<Instant>,
    is_declared: bool,
    refused: Option<(HostId, String)>,
    not_before: Instant,
}

impl Advancer {
    /// Begins; nothing happens before `not_before`, by when all hosts must have been heard.
    #[must_use]
    pub const fn new(not_before: Instant) -> Self {
        let asked = BTreeMap::new();
        let (declares, is_declared) = (None, false);
        let (watched, well_since, missing_since, drains) = (None, None, None, false);
        let (is_taken_over, refused) = (true, None);
        Self {
            watched,
            is_taken_over,
            well_since,
            missing_since,
            drains,
            asked,
            declares,
            is_declared,
            refused,
            not_before,
        }
    }

    /// Takes in how an action ended. What does not show soon after that is asked for again.
    pub fn outcome(&mut self, now: Instant, action: &RolloutAction, ended: Ended) {
        let again = now + ASK_AGAIN_AFTER;
        let Some(host) = action.host() else {
            self.is_declared |= ended == Ended::Done;
            self.declares = self.declares.map(|_| again);
            return;
        };
        if let Some(asked) = self.asked.get_mut(action) {
            *asked = Asked { until: again, is_refused: matches!(ended, Ended::Refused(_)) };
        }
        if let Ended::Refused(why) = ended {
            self.refused = Some((host, why));
        }
    }

    /// Decides what follows. To be called when anything changed, and at least each second.
    ///
    /// For a rollout that has ended too: it takes away trials that began too late.
    pub fn advance(&mut self, now: Instant, rollout: &Rollout, view: &View) -> Step {
        if now < self.not_before {
            return Step::default();
        }
        let since = match self.watched {
            Some((phase, since)) if phase == rollout.phase => since,
            _ => {
                let is_taken_over = self.watched.is_none();
                // What was asked before all were to go back may be done after that, and is then to be undone.
                let mut asked = std::mem::take(&mut self.asked);
                asked.retain(|action, _| rollout.phase == Phase::RollingBack && goes_over(rollout, action));
                let watched = Some((rollout.phase, now));
                *self = Self { watched, is_taken_over, asked, ..Self::new(self.not_before) };
                now
            }
        };
        let waited = now.saturating_duration_since(since);
        let stray = self.strays(now, rollout, view);
        if !stray.is_empty() {
            return Step { next: None, actions: stray };
        }
        match rollout.phase {
            Phase::Choosing if is_untried(rollout, view) && waited < PATIENCE => Step::default(),
            Phase::Choosing if is_untried(rollout, view) => back(rollout, "nobody runs it, so nobody could try it"),
            Phase::Choosing => choose(rollout, view),
            Phase::Canary { host } | Phase::Updating { host } => self.turn(now, waited, rollout, view, host),
            Phase::Declaring => self.declare(now, rollout, view),
            Phase::RollingBack => self.roll_back(now, waited, rollout, view),
            Phase::Done | Phase::RolledBack => Step::default(),
        }
    }

    /// Looks at the host whose turn it is.
    fn turn(&mut self, now: Instant, waited: Duration, rollout: &Rollout, view: &View, host: HostId) -> Step {
        let Some(start) = view.there.get(&host) else { return self.missing(now, rollout, host) };
        if rollout.start.is_some_and(|before| before != *start) {
            return back(rollout, &format!("{host} was started again while it went over to the new version"));
        }
        self.missing_since = None;
        let Some(running) = view.hosts.get(&host) else { return to(rollout, Phase::Choosing) };
        self.drains = running.is_draining;
        let is_canary = matches!(rollout.phase, Phase::Canary { .. });
        let has_it = running.reference == rollout.to || is_canary && running.trial.as_ref() == Some(&rollout.to);
        if running.is_draining && !has_it {
            // It may still do what it was asked before it drained, and then tells what came of it.
            let is_asked = self.is_asked(now, host) || self.is_taken_over && waited < ASK_AGAIN_AFTER;
            return if is_asked { Step::default() } else { to(rollout, Phase::Choosing) };
        }
        if is_canary {
            self.canary(now, waited, rollout, (host, running))
        } else {
            self.update(now, waited, rollout, (host, running))
        }
    }

    /// A host went away in its turn. It may have been cut off for a moment only; but if it was the new version that
    /// ended it, no other host must get that.
    fn missing(&mut self, now: Instant, rollout: &Rollout, host: HostId) -> Step {
        if self.drains {
            return to(rollout, Phase::Choosing);
        }
        let since = *self.missing_since.get_or_insert(now);
        if now.saturating_duration_since(since) < RETURNS_WITHIN {
            return Step::default();
        }
        back(rollout, &format!("{host} went away while it went over to the new version"))
    }

    /// Takes away trials that are left over, of this rollout or one before it: their host was gone for a while, or was
    /// slow to begin them.
    fn strays(&mut self, now: Instant, rollout: &Rollout, view: &View) -> Vec<RolloutAction> {
        let current = match rollout.phase {
            Phase::Canary { host } | Phase::Updating { host } => Some(host),
            _ => None,
        };
        let is_stray = |(host, running): &(&HostId, &Running)| {
            running.trial.as_ref().is_some_and(|trial| Some(**host) != current || *trial != rollout.to)
        };
        let strays = view.staying().filter(is_stray);
        strays.filter_map(|(host, _)| self.ask(now, RolloutAction::AbortCanary { host: *host })).collect()
    }

    fn canary(&mut self, now: Instant, waited: Duration, rollout: &Rollout, at: (HostId, &Running)) -> Step {
        let (host, running) = at;
        let Some(limits) = &rollout.canary else { return to(rollout, Phase::Updating { host }) };
        if let Some(why) = self.refusal(host, waited, running.trial.is_none() && running.reference != rollout.to) {
            return back(rollout, &why);
        }
        if running.reference == rollout.to {
            return to(rollout, Phase::Updating { host });
        }
        if running.trial.as_ref() != Some(&rollout.to) {
            self.well_since = None;
            return self.act(
                now,
                RolloutAction::StartCanary {
                    host,
                    reference: rollout.to.clone(),
                    percent: limits.percent,
                    force: rollout.force,
                },
            );
        }
        let watched = now.saturating_duration_since(*self.well_since.get_or_insert(now));
        let watch = Duration::from_secs(limits.watch_secs.into());
        let is_enough = running.new.calls >= CALLS_MIN;
        let least = if is_enough { watch } else { watch * 2 };
        let is_over = self.is_measured_after(running, least);
        match judge(limits, &running.old, &running.new).filter(|_| is_enough || is_over) {
            Some(why) => back(rollout, &format!("the canary on {host} did not do well: {why}")),
            None if is_over => to(rollout, Phase::Updating { host }),
            None if watched >= least + PATIENCE => back(rollout, &unmeasured(host)),
            None => Step::default(),
        }
    }

    fn update(&mut self, now: Instant, waited: Duration, rollout: &Rollout, at: (HostId, &Running)) -> Step {
        let (host, running) = at;
        if let Some(why) = self.refusal(host, waited, running.reference != rollout.to) {
            return back(rollout, &why);
        }
        if running.reference != rollout.to {
            self.well_since = None;
            return self.act(
                now,
                if running.trial.as_ref() == Some(&rollout.to) {
                    RolloutAction::Promote { host }
                } else {
                    RolloutAction::Update { host, reference: rollout.to.clone(), force: rollout.force }
                },
            );
        }
        let watched = now.saturating_duration_since(*self.well_since.get_or_insert(now));
        // The first moments of a new version are slow: a canary's limits are for errors, not for them.
        let max_error_percent =
            rollout.canary.as_ref().map_or(LIMITS.max_error_percent, |canary| canary.max_error_percent);
        let limits = Canary { max_error_percent, ..LIMITS };
        let is_over = self.is_measured_after(running, SETTLE);
        let verdict = if running.new.calls >= CALLS_MIN {
            judge(&limits, &running.old, &running.new)
        } else {
            judge(&FEW, &running.old, &running.new).filter(|_| is_over && running.new.calls >= CALLS_FEW)
        };
        match verdict {
            Some(why) => back(rollout, &format!("the new version on {host} did not do well: {why}")),
            None if is_over => {
                let mut next = Rollout { phase: Phase::Choosing, ..rollout.clone() };
                if !next.done.contains(&host) {
                    next.done.push(host);
                }
                Step { next: Some(next), actions: Vec::new() }
            }
            None if watched >= SETTLE + PATIENCE => back(rollout, &unmeasured(host)),
            None => Step::default(),
        }
    }

    /// Whether a host has told how its versions do after it had done what it should for so long. One that says nothing,
    /// as when it is cut off, must not pass for one that does well.
    fn is_measured_after(&self, running: &Running, watch: Duration) -> bool {
        let end = self.well_since.and_then(|since| since.checked_add(watch));
        running.measured.zip(end).is_some_and(|(measured, end)| measured >= end)
    }

    fn declare(&mut self, now: Instant, rollout: &Rollout, view: &View) -> Step {
        // Nobody runs it at this moment, as when it moves: that is not the end of it.
        if let Some(host) = next_host(rollout, view) {
            return to_host(rollout, view, Phase::Updating { host }, host);
        }
        if view.declared.as_ref().is_none_or(|declared| *declared == rollout.to) {
            return to(rollout, Phase::Done);
        }
        self.act_declare(now, RolloutAction::Declare { reference: rollout.to.clone(), previous: rollout.from.clone() })
    }

    fn roll_back(&mut self, now: Instant, waited: Duration, rollout: &Rollout, view: &View) -> Step {
        // What was there before under the same reference is nowhere to be had.
        if rollout.from == rollout.to {
            return to(rollout, Phase::RolledBack);
        }
        // What shows has come to its end, and so has what a process was asked that is there no more.
        let has_ended = |host| {
            let shows = view.hosts.get(&host).is_some_and(|running| running.reference == rollout.to);
            shows || rollout.start.is_some_and(|start| view.there.get(&host).is_some_and(|other| *other != start))
        };
        self.asked.retain(|action, _| !goes_over(rollout, action) || !action.host().is_some_and(has_ended));
        let is_changed =
            |(host, running): &(&HostId, &Running)| running.reference == rollout.to && rollout.done.contains(host);
        let changed: Vec<HostId> = view.staying().filter(is_changed).map(|(host, _)| *host).collect();
        if !changed.is_empty() {
            let update = |host| RolloutAction::Update { host, reference: rollout.from.clone(), force: true };
            let actions = changed.into_iter().filter_map(|host| self.ask(now, update(host))).collect();
            return Step { next: None, actions };
        }
        // Written in any case, once: an earlier leader may be about to declare the new version.
        if view.declared.as_ref().is_some_and(|declared| *declared == rollout.to || !self.is_declared) {
            let (reference, back_to) = (rollout.to.clone(), rollout.from.clone());
            return self.act_declare(now, RolloutAction::Undeclare { reference, back_to });
        }
        let is_tried = view.staying().any(|(_, running)| running.trial.as_ref() == Some(&rollout.to));
        if is_tried || self.may_go_over(now, waited, rollout) {
            return Step::default();
        }
        to(rollout, Phase::RolledBack)
    }

    /// Whether a host may still go over to the new version: it was asked, by an earlier leader maybe, and that has no
    /// known end.
    fn may_go_over(&self, now: Instant, waited: Duration, rollout: &Rollout) -> bool {
        let is_open = |(action, asked): (&RolloutAction, &Asked)| goes_over(rollout, action) && asked.is_open(now);
        self.is_taken_over && waited < ENDS_WITHIN || self.asked.iter().any(is_open)
    }

    /// Returns why a host failed at what it was asked, if it did.
    fn refusal(&self, host: HostId, waited: Duration, is_open: bool) -> Option<String> {
        match &self.refused {
            Some((refuser, why)) if *refuser == host => Some(format!("{host} could not start it: {why}")),
            _ if is_open && waited >= PATIENCE => {
                Some(format!("{host} did not start it within {} s", PATIENCE.as_secs()))
            }
            _ => None,
        }
    }

    fn act(&mut self, now: Instant, action: RolloutAction) -> Step {
        Step { next: None, actions: self.ask(now, action).into_iter().collect() }
    }

    fn act_declare(&mut self, now: Instant, action: RolloutAction) -> Step {
        if self.declares.is_some_and(|until| now < until) {
            return Step::default();
        }
        self.declares = Some(now + ENDS_WITHIN);
        Step { next: None, actions: vec![action] }
    }

    /// Whether a host was asked for something that may still show.
    fn is_asked(&self, now: Instant, host: HostId) -> bool {
        self.asked.iter().any(|(action, asked)| action.host() == Some(host) && asked.is_open(now))
    }

    /// Returns the action, unless the host was asked for it a moment ago.
    fn ask(&mut self, now: Instant, action: RolloutAction) -> Option<RolloutAction> {
        if self.asked.get(&action).is_some_and(|asked| now < asked.until) {
            return None;
        }
        self.asked.insert(action.clone(), Asked { until: now + ENDS_WITHIN, is_refused: false });
        Some(action)
    }
}

impl Asked {
    fn is_open(&self, now: Instant) -> bool {
        !self.is_refused && now < self.until
    }
}

/// Whether a host that does this runs the new version alone.
fn goes_over(rollout: &Rollout, action: &RolloutAction) -> bool {
    match action {
        RolloutAction::Promote { .. } => true,
        RolloutAction::Update { reference, .. } => *reference == rollout.to,
        _ => false,
    }
}

/// Whether nobody runs what is declared, and nobody has run the new version: it must not be declared unseen.
fn is_untried(rollout: &Rollout, view: &View) -> bool {
    view.staying().next().is_none() && rollout.done.is_empty() && view.declared.is_some()
}

fn choose(rollout: &Rollout, view: &View) -> Step {
    let Some(host) = next_host(rollout, view) else { return to(rollout, Phase::Declaring) };
    let is_first = rollout.done.is_empty();
    let is_old = view.hosts.get(&host).is_some_and(|running| running.reference != rollout.to);
    let phase =
        if rollout.canary.is_some() && is_first && is_old { Phase::Canary { host } } else { Phase::Updating { host } };
    to_host(rollout, view, phase, host)
}

/// Chooses the host that is next: first the one with most calls, as it tells soonest; then in order.
fn next_host(rollout: &Rollout, view: &View) -> Option<HostId> {
    let is_open =
        |(host, running): &(&HostId, &Running)| running.reference != rollout.to || !rollout.done.contains(host);
    let open = view.staying().filter(is_open);
    let calls = |running: &Running| running.old.calls.max(running.new.calls);
    open.max_by(|one, other| calls(one.1).cmp(&calls(other.1)).then(other.0.cmp(one.0))).map(|(host, _)| *host)
}

fn unmeasured(host: HostId) -> String {
    format!("{host} did not tell within {} s how its calls go", PATIENCE.as_secs())
}

fn to(rollout: &Rollout, phase: Phase) -> Step {
    Step { next: Some(Rollout { phase, ..rollout.clone() }), actions: Vec::new() }
}

/// Goes on to a host's turn.
fn to_host(rollout: &Rollout, view: &View, phase: Phase, host: HostId) -> Step {
    let start = view.there.get(&host).copied();
    Step { next: Some(Rollout { phase, start, ..rollout.clone() }), actions: Vec::new() }
}

fn back(rollout: &Rollout, why: &str) -> Step {
    Step { next: Some(rollout.back(why.to_owned())), actions: Vec::new() }
}
