use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{advance::ASK_AGAIN_AFTER, *};
use crate::{
    directory::mix,
    fixtures::{actor, host, provider},
};

/// Hosts that do what they are told, and a leader that looks each second.
struct Fleet {
    now: Instant,
    rollout: Rollout,
    view: View,
    advancer: Advancer,
    told: Vec<String>,
    /// How versions do: calls each second, how many of 100 fail, and p99 in microseconds.
    quality: BTreeMap<&'static str, (u64, u64, u64)>,
    refuses: Option<HostId>,
    /// Hosts are there, but do not tell how their versions do.
    is_silent: bool,
}

impl Fleet {
    /// Hosts `1..=count` on `v1`, and a rollout to `v2`.
    fn new(count: u8, canary: Option<Canary>) -> Self {
        let now = Instant::now();
        let running = Running { reference: "v1".into(), ..Running::default() };
        let rollout = Rollout::new(Target::Actor(actor(1)), "v1".into(), "v2".into(), "today".into());
        Self {
            now,
            rollout: Rollout { canary, ..rollout },
            view: View {
                declared: Some("v1".into()),
                hosts: (1..=count).map(|n| (host(n), running.clone())).collect(),
                there: (1..=count).map(|n| (host(n), 1)).collect(),
            },
            advancer: Advancer::new(now),
            told: Vec::new(),
            quality: [("v1", (100, 1, 1_000)), ("v2", (100, 1, 1_000))].into(),
            refuses: None,
            is_silent: false,
        }
    }

    /// One second. What is written goes through JSON, as it does in the lattice.
    fn step(&mut self) {
        let step = self.advancer.advance(self.now, &self.rollout, &self.view);
        assert!(step.next.is_none() || step.actions.is_empty(), "a step writes or acts: {step:?}");
        if let Some(next) = step.next {
            self.rollout = serde_json::from_slice(&serde_json::to_vec(&next).unwrap()).unwrap();
        }
        for action in step.actions {
            self.told.push(describe(&action));
            let refused = action.host().is_some() && action.host() == self.refuses;
            if refused {
                self.advancer.outcome(self.now, &action, Ended::Refused("it does not compile".into()));
            } else {
                self.carry_out(&action);
                self.advancer.outcome(self.now, &action, Ended::Done);
            }
        }
        self.work();
        self.now += Duration::from_secs(1);
    }

    fn carry_out(&mut self, action: &RolloutAction) {
        match action {
            RolloutAction::Declare { reference, .. } => {
                self.view.declared = Some(reference.clone());
                return;
            }
            RolloutAction::Undeclare { reference, back_to } => {
                if self.view.declared.as_ref() == Some(reference) {
                    self.view.declared = Some(back_to.clone());
                }
                return;
            }
            _ => {}
        }
        let Some(running) = self.view.hosts.get_mut(&action.host().unwrap()) else { return };
        match action {
            RolloutAction::StartCanary { reference, .. } => {
                running.trial = Some(reference.clone());
                (running.old, running.new) = Default::default();
            }
            RolloutAction::AbortCanary { .. } => running.trial = None,
            RolloutAction::Promote { .. } => running.reference = running.trial.take().unwrap(),
            RolloutAction::Update { reference, .. } => {
                (running.old, running.new) = (running.new, Reading::default());
                (running.reference, running.trial) = (reference.clone(), None);
            }
            RolloutAction::Declare { .. } | RolloutAction::Undeclare { .. } => {}
        }
    }

    /// A second of calls on each host.
    fn work(&mut self) {
        if self.is_silent {
            return;
        }
        for running in self.view.hosts.values_mut() {
            running.measured = Some(self.now + Duration::from_secs(1));
            let add = |reading: &mut Reading, (calls, failing, p99_us): (u64, u64, u64)| {
                reading.calls += calls;
                reading.failed += calls * failing / 100;
                reading.p99_us = p99_us;
            };
            if running.trial.is_some() {
                add(&mut running.old, self.quality["v1"]);
                add(&mut running.new, self.quality["v2"]);
            } else {
                add(&mut running.new, self.quality[running.reference.as_str()]);
            }
        }
    }

    fn remove(&mut self, n: u8) -> Running {
        self.view.there.remove(&host(n));
        self.view.hosts.remove(&host(n)).unwrap()
    }

    fn insert(&mut self, n: u8, running: Running) {
        self.view.there.insert(host(n), 1);
        self.view.hosts.insert(host(n), running);
    }

    /// Runs to the end, and returns how many seconds it took.
    fn run(&mut self) -> u32 {
        for seconds in 0..600 {
            if !self.rollout.is_active() {
                return seconds;
            }
            self.step();
        }
        panic!("no end: {:?} {:?}", self.rollout, self.told)
    }

    fn until(&mut self, is_so: impl Fn(&Rollout) -> bool) {
        for _ in 0..600 {
            if is_so(&self.rollout) {
                return;
            }
            self.step();
        }
        panic!("never: {:?}", self.told)
    }

    fn references(&self) -> Vec<&str> {
        self.view.hosts.values().map(|running| running.reference.as_str()).collect()
    }
}

fn describe(action: &RolloutAction) -> String {
    let n = (1..=20).find(|n| action.host() == Some(host(*n))).unwrap_or_default();
    match action {
        RolloutAction::StartCanary { reference, percent, .. } => format!("{n}: {percent}% {reference}"),
        RolloutAction::AbortCanary { .. } => format!("{n}: abort"),
        RolloutAction::Promote { .. } => format!("{n}: promote"),
        RolloutAction::Update { reference, force, .. } => {
            format!("{n}: {reference}{}", if *force { " by force" } else { "" })
        }
        RolloutAction::Declare { reference, previous } => {
            format!("declare {reference}, was {previous}")
        }
        RolloutAction::Undeclare { reference, back_to } => format!("declare {back_to}, not {reference}"),
    }
}

fn canary() -> Option<Canary> {
    Some(Canary { percent: 10, watch_secs: 10, max_error_percent: 1.0, max_latency_factor: 2.0 })
}

#[test]
fn without_a_canary_hosts_change_one_after_the_other() {
    let mut fleet = Fleet::new(3, None);
    fleet.run();
    assert_eq!(fleet.told, ["1: v2", "2: v2", "3: v2", "declare v2, was v1"]);
    assert_eq!(fleet.rollout.phase, Phase::Done);
    assert_eq!(fleet.references(), ["v2", "v2", "v2"]);
    assert_eq!(fleet.rollout.done.len(), 3);
}

#[test]
fn a_good_canary_is_promoted_and_the_others_follow() {
    let mut fleet = Fleet::new(2, canary());
    let took = fleet.run();
    assert_eq!(fleet.told, ["1: 10% v2", "1: promote", "2: v2", "declare v2, was v1"]);
    assert!((16..40).contains(&took), "{took}");
}

#[test]
fn the_busiest_host_is_the_canary() {
    let mut fleet = Fleet::new(3, canary());
    fleet.view.hosts.get_mut(&host(2)).unwrap().new.calls = 9_999;
    fleet.until(|rollout| matches!(rollout.phase, Phase::Canary { .. }));
    assert_eq!(fleet.rollout.phase, Phase::Canary { host: host(2) });
}

#[test]
fn a_canary_that_fails_or_is_slow_is_taken_back_with_the_reason() {
    for (quality, reason) in [((100, 3, 1_000), "3.0% of its"), ((100, 1, 8_000), "up to 8.0 ms")] {
        let mut fleet = Fleet::new(2, canary());
        fleet.quality.insert("v2", quality);
        let took = fleet.run();
        assert_eq!(fleet.told, ["1: 10% v2", "1: abort", "declare v1, not v2"]);
        assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1", "v1"]));
        assert!(fleet.rollout.reason.as_ref().unwrap().contains(reason), "{:?}", fleet.rollout.reason);
        assert!(took < 10, "it need not be watched to the end: {took}");
        assert_eq!(fleet.view.declared.as_deref(), Some("v1"));
    }
}

#[test]
fn a_canary_with_few_calls_is_watched_twice_as_long() {
    let mut fleet = Fleet::new(1, canary());
    fleet.quality.insert("v2", (1, 0, 1_000));
    fleet.until(|rollout| matches!(rollout.phase, Phase::Canary { .. }));
    let begun = fleet.now;
    fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
    let took = (fleet.now - begun).as_secs();
    assert!((20..=23).contains(&took), "{took}");
    fleet.run();
    assert_eq!(fleet.rollout.phase, Phase::Done);
}

#[test]
fn a_version_that_fails_on_the_second_host_goes_back_everywhere() {
    let mut fleet = Fleet::new(3, None);
    fleet.until(|rollout| rollout.done.len() == 1);
    fleet.quality.insert("v2", (100, 50, 1_000));
    fleet.run();
    assert_eq!(fleet.told, ["1: v2", "2: v2", "1: v1 by force", "2: v1 by force", "declare v1, not v2"]);
    assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1", "v1", "v1"]));
}

#[test]
fn few_calls_tell_enough_when_most_of_them_fail() {
    for (calls, failing, phase) in
        [(4, 100, Phase::RolledBack), (4, 25, Phase::Done), (1, 100, Phase::Done), (100, 15, Phase::RolledBack)]
    {
        let mut fleet = Fleet::new(2, None);
        fleet.quality.insert("v2", (calls, failing, 1_000));
        fleet.run();
        assert_eq!(fleet.rollout.phase, phase, "{calls} calls a second, {failing}% fail");
    }
}

#[test]
fn a_host_that_does_not_tell_how_it_does_has_not_done_well() {
    for canary in [None, canary()] {
        let mut fleet = Fleet::new(2, canary);
        fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. } | Phase::Canary { .. }));
        fleet.step();
        fleet.is_silent = true;
        for _ in 0..60 {
            fleet.step();
        }
        assert!(fleet.rollout.done.is_empty() && fleet.rollout.phase != Phase::RollingBack);
        fleet.is_silent = false;
        fleet.run();
        assert_eq!(fleet.rollout.phase, Phase::Done);
    }
    let mut fleet = Fleet::new(2, None);
    fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
    fleet.is_silent = true;
    fleet.run();
    assert_eq!(fleet.rollout.phase, Phase::RolledBack);
    assert!(fleet.rollout.reason.unwrap().contains("did not tell"));
}

#[test]
fn a_version_that_does_not_start_goes_no_further() {
    for canary in [None, canary()] {
        let mut fleet = Fleet::new(2, canary);
        fleet.refuses = Some(host(1));
        fleet.run();
        assert_eq!((fleet.rollout.phase, fleet.told.len()), (Phase::RolledBack, 2));
        assert_eq!(fleet.told[1], "declare v1, not v2");
        assert!(fleet.rollout.reason.as_ref().unwrap().ends_with("it does not compile"));
    }
}

#[test]
fn hosts_that_die_are_skipped_and_those_that_appear_get_their_turn() {
    let mut fleet = Fleet::new(3, canary());
    fleet.until(|rollout| rollout.phase == Phase::Updating { host: host(1) });
    let mut gone = fleet.remove(2);
    gone.trial = Some("v2".into());
    fleet.until(|rollout| rollout.done == [host(1)]);
    // A trial of an earlier rollout is left over, and another host begins with the old version.
    fleet.insert(2, gone);
    fleet.insert(4, Running { reference: "v1".into(), ..Running::default() });
    fleet.run();
    assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::Done, vec!["v2"; 4]));
    assert!(fleet.told.contains(&"2: abort".to_owned()), "{:?}", fleet.told);
}

#[test]
fn a_host_that_goes_away_in_its_turn_may_come_back_or_all_go_back() {
    for canary in [None, canary()] {
        for away in [20, 40] {
            let mut fleet = Fleet::new(3, canary.clone());
            fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. } | Phase::Canary { .. }));
            fleet.step();
            let gone = fleet.remove(1);
            for _ in 0..away {
                fleet.step();
            }
            fleet.insert(1, gone);
            fleet.run();
            let (phase, reference) = if away < 30 { (Phase::Done, "v2") } else { (Phase::RolledBack, "v1") };
            assert_eq!((fleet.rollout.phase, fleet.references()[1]), (phase, reference), "away for {away} s");
        }
    }
}

#[test]
fn a_host_that_is_started_again_in_its_turn_ends_the_rollout() {
    let mut fleet = Fleet::new(2, None);
    fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
    fleet.step();
    fleet.view.there.insert(host(1), 2);
    fleet.view.hosts.get_mut(&host(1)).unwrap().reference = "v1".into();
    fleet.run();
    assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1", "v1"]));
    assert!(fleet.rollout.reason.unwrap().contains("started again"));
}

#[test]
fn a_new_leader_knows_that_a_host_was_started_again_in_its_turn() {
    let mut fleet = Fleet::new(2, None);
    fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
    fleet.step();
    fleet.remove(1);
    fleet.view.there.insert(host(1), 2);
    fleet.advancer = Advancer::new(fleet.now);
    fleet.run();
    assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1"]));
}

#[test]
fn a_host_that_drains_in_its_turn_is_watched_to_its_end_and_asked_for_nothing() {
    for (failing, phase) in [(1, Phase::Done), (60, Phase::RolledBack)] {
        let mut fleet = Fleet::new(2, None);
        fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
        fleet.step();
        fleet.quality.insert("v2", (100, failing, 1_000));
        fleet.view.hosts.get_mut(&host(1)).unwrap().is_draining = true;
        fleet.step();
        fleet.step();
        fleet.remove(1);
        fleet.run();
        assert_eq!(fleet.rollout.phase, phase);
    }
    // It drains before it was asked.
    let mut fleet = Fleet::new(2, None);
    fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
    fleet.view.hosts.get_mut(&host(1)).unwrap().is_draining = true;
    fleet.run();
    assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::Done, vec!["v1", "v2"]));
}

#[test]
fn a_host_that_was_asked_before_it_drained_is_waited_for() {
    let asked = || {
        let mut fleet = Fleet::new(2, None);
        fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
        let step = fleet.advancer.advance(fleet.now, &fleet.rollout, &fleet.view);
        let action = step.actions.into_iter().next().unwrap();
        assert_eq!(action.host(), Some(host(1)));
        fleet.view.hosts.get_mut(&host(1)).unwrap().is_draining = true;
        fleet.step();
        assert_eq!(fleet.rollout.phase, Phase::Updating { host: host(1) });
        (fleet, action)
    };
    // It shows late what it has done, and the new version fails.
    let (mut fleet, action) = asked();
    fleet.quality.insert("v2", (100, 60, 1_000));
    fleet.carry_out(&action);
    fleet.advancer.outcome(fleet.now, &action, Ended::Done);
    fleet.run();
    assert_eq!(fleet.rollout.phase, Phase::RolledBack);
    // Another leader comes before it shows.
    let (mut fleet, action) = asked();
    fleet.quality.insert("v2", (100, 60, 1_000));
    fleet.advancer = Advancer::new(fleet.now);
    fleet.step();
    fleet.carry_out(&action);
    fleet.run();
    assert_eq!(fleet.rollout.phase, Phase::RolledBack);
    // It says no, or nothing, as when it refuses because it drains: it is the other one's turn.
    for (ended, waits) in [(Ended::Refused("it drains".into()), Duration::ZERO), (Ended::Unknown, ASK_AGAIN_AFTER)] {
        let (mut fleet, action) = asked();
        let since = fleet.now;
        fleet.advancer.outcome(since, &action, ended);
        fleet.until(|rollout| rollout.phase == Phase::Choosing);
        assert_eq!(fleet.now - since, waits + Duration::from_secs(1));
        fleet.run();
        assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::Done, vec!["v1", "v2"]));
    }
}

#[test]
fn an_operator_can_turn_back_at_any_moment_and_a_late_trial_is_taken_away() {
    let mut fleet = Fleet::new(2, canary());
    fleet.until(|rollout| rollout.done.len() == 1);
    fleet.rollout = fleet.rollout.abort("I changed my mind").unwrap();
    assert_eq!(fleet.rollout.abort("again").unwrap().reason.as_deref(), Some("I changed my mind"));
    fleet.run();
    assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1", "v1"]));
    assert_eq!(fleet.rollout.abort("too late"), None);
    fleet.view.hosts.get_mut(&host(2)).unwrap().trial = Some("v2".into());
    fleet.step();
    assert_eq!(fleet.view.hosts[&host(2)].trial, None);
}

#[test]
fn what_a_host_was_asked_before_all_go_back_is_waited_for_and_undone() {
    let turned = |canary| {
        let mut fleet = Fleet::new(2, canary);
        fleet.view.declared = None;
        fleet.until(|rollout| matches!(rollout.phase, Phase::Updating { .. }));
        let step = fleet.advancer.advance(fleet.now, &fleet.rollout, &fleet.view);
        let action = step.actions.into_iter().next().unwrap();
        fleet.rollout = fleet.rollout.abort("an operator turned it round").unwrap();
        for _ in 0..40 {
            fleet.step();
            assert_eq!(fleet.rollout.phase, Phase::RollingBack);
        }
        (fleet, action)
    };
    // It compiles for long, and then it is done; this leader is told, or another one comes before that.
    for is_other in [false, true] {
        let (mut fleet, action) = turned(None);
        if is_other {
            fleet.advancer = Advancer::new(fleet.now);
            fleet.step();
        }
        fleet.carry_out(&action);
        fleet.advancer.outcome(fleet.now, &action, Ended::Done);
        assert!(fleet.run() < 5 || is_other);
        assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1", "v1"]));
    }
    for canary in [None, canary()] {
        // It fails, is not answered, or has no end at all.
        let fails = Ended::Refused("it does not compile".into());
        for (ended, waits) in [(Some(fails), 1), (Some(Ended::Unknown), 11), (None, 26)] {
            let (mut fleet, action) = turned(canary.clone());
            if let Some(ended) = ended.clone() {
                fleet.advancer.outcome(fleet.now, &action, ended);
            }
            assert!((waits - 1..=waits).contains(&fleet.run()), "{action:?} {ended:?}");
            assert_eq!((fleet.rollout.phase, fleet.references()), (Phase::RolledBack, vec!["v1", "v1"]));
        }
    }
}

#[test]
fn a_rollout_of_the_same_reference_ends_all_the_same() {
    for fails in [false, true] {
        let mut fleet = Fleet::new(2, None);
        fleet.rollout.to = "v1".into();
        fleet.quality.insert("v1", (100, if fails { 60 } else { 1 }, 1_000));
        fleet.run();
        let phase = if fails { Phase::RolledBack } else { Phase::Done };
        assert_eq!((fleet.rollout.phase, fleet.references()), (phase, vec!["v1", "v1"]));
    }
}

#[test]
fn a_host_that_does_not_answer_is_asked_again_and_given_up_in_time() {
    let mut fleet = Fleet::new(1, None);
    fleet.rollout.phase = Phase::Updating { host: host(1) };
    let start = fleet.now;
    let mut asked = Vec::new();
    let next = (0..200).find_map(|second| {
        let now = start + Duration::from_secs(second);
        let step = fleet.advancer.advance(now, &fleet.rollout, &fleet.view);
        asked.extend(step.actions.iter().map(|_| second));
        step.actions.iter().for_each(|action| fleet.advancer.outcome(now, action, Ended::Unknown));
        step.next
    });
    assert_eq!(asked, (0..12).map(|n| n * 10).collect::<Vec<_>>());
    assert_eq!(next.unwrap().phase, Phase::RollingBack);
}

#[test]
fn a_host_that_takes_its_time_is_asked_once() {
    let mut fleet = Fleet::new(1, canary());
    fleet.rollout.phase = Phase::Canary { host: host(1) };
    let start = fleet.now;
    let mut asked = Vec::new();
    for second in 0..110 {
        let now = start + Duration::from_secs(second);
        let step = fleet.advancer.advance(now, &fleet.rollout, &fleet.view);
        asked.extend(step.actions.into_iter().map(|action| (second, action)));
        if second == 58 {
            fleet.advancer.outcome(now, &asked[0].1, Ended::Done);
        }
    }
    // It was done, and the host's notice did not show it.
    let seconds: Vec<_> = asked.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [0, 68]);
}

#[test]
fn a_rollback_writes_the_declaration_whatever_it_says() {
    for (declared, after) in [("v1", "v1"), ("v2", "v1"), ("v3", "v3")] {
        let mut fleet = Fleet::new(1, None);
        fleet.rollout = fleet.rollout.abort("no").unwrap();
        fleet.view.declared = Some(declared.into());
        fleet.run();
        assert_eq!(fleet.told, ["declare v1, not v2"], "{declared}");
        assert_eq!((fleet.rollout.phase, fleet.view.declared.as_deref()), (Phase::RolledBack, Some(after)));
    }
}

#[test]
fn any_leader_goes_on_from_the_entry_alone() {
    for seed in 0..200_u64 {
        let is_bad = seed % 2 == 0;
        let mut fleet = Fleet::new(4, canary());
        if is_bad {
            fleet.quality.insert("v2", (100, 40, 1_000));
        }
        for second in 0..400 {
            if mix(seed * 1_000 + second).is_multiple_of(8) {
                fleet.advancer = Advancer::new(fleet.now);
            }
            fleet.step();
            // Now and then a leader acts and is gone before it can see what came of it.
            if mix(seed * 1_000 + second).is_multiple_of(11) {
                let actions = fleet.advancer.advance(fleet.now, &fleet.rollout, &fleet.view).actions;
                actions.iter().for_each(|action| fleet.carry_out(action));
                fleet.advancer = Advancer::new(fleet.now);
            }
        }
        let (phase, version) = if is_bad { (Phase::RolledBack, "v1") } else { (Phase::Done, "v2") };
        // With a leader change each few seconds the watch may never be over; then nothing is decided either way.
        if fleet.rollout.is_active() {
            fleet.run();
        }
        assert_eq!((fleet.rollout.phase, fleet.references()), (phase, vec![version; 4]), "seed {seed}");
        assert_eq!(fleet.view.declared.as_deref(), Some(version), "seed {seed}");
    }
}

#[test]
fn nothing_is_done_before_all_hosts_can_have_been_heard() {
    let mut fleet = Fleet::new(0, None);
    fleet.advancer = Advancer::new(fleet.now + Duration::from_secs(2));
    assert_eq!(fleet.advancer.advance(fleet.now, &fleet.rollout, &fleet.view), Step::default());
}

#[test]
fn an_undeclared_actor_is_rolled_out_without_a_declaration() {
    let mut fleet = Fleet::new(1, None);
    fleet.view.declared = None;
    fleet.run();
    assert_eq!((fleet.told, fleet.rollout.phase), (vec!["1: v2".to_owned()], Phase::Done));
}

#[test]
fn one_command_goes_back_to_what_was_before() {
    let target = Target::Actor(actor(1));
    let declared = |previous| Some(Versions { reference: "v2", previous });
    let goes = |stored: Option<&Rollout>, declared| {
        let back = back(&target, stored, declared, String::new())?;
        assert_eq!((back.canary, back.force, back.phase), (None, true, Phase::Choosing));
        Some(format!("{} to {}", back.from, back.to))
    };
    assert_eq!(goes(None, None), None);
    assert_eq!(goes(None, declared(None)), None);
    assert_eq!(goes(None, declared(Some("v2"))), None);
    assert_eq!(goes(None, declared(Some("v1"))).unwrap(), "v2 to v1");
    let mut last = Rollout::new(target.clone(), "v0".into(), "v2".into(), String::new());
    let turned = back(&target, Some(&last), declared(Some("v1")), String::new()).unwrap();
    assert_eq!((turned.phase, begin(Some(&last), &last)), (Phase::RollingBack, None));
    last.phase = Phase::Done;
    assert!(begin(Some(&last), &last).is_some() && begin(None, &last).is_some());
    assert_eq!(goes(Some(&last), declared(Some("v1"))).unwrap(), "v2 to v1", "what is declared comes first");
    assert_eq!(goes(Some(&last), None).unwrap(), "v2 to v0");
    last.reason = Some("it went back".into());
    assert_eq!(goes(Some(&last), None), None);
}

#[test]
fn the_entry_is_plain_json() {
    let entry = json!({
        "target": {"provider": "kv"}, "from": "v1", "to": "v2", "force": false,
        "canary": {"percent": 10, "watch_secs": 30, "max_error_percent": 1.0, "max_latency_factor": 2.0},
        "phase": {"name": "canary", "host": host(1)}, "done": [host(2)], "reason": "slow", "started": "today",
        "later": true,
    });
    let rollout: Rollout = serde_json::from_value(entry.clone()).unwrap();
    assert_eq!((&rollout.target, &rollout.extra["later"]), (&Target::Provider(provider("kv")), &Value::Bool(true)));
    assert_eq!(serde_json::to_value(&rollout).unwrap(), entry);
    assert!(rollout.check().is_ok());
    let bad = |canary: Value| {
        let canary = serde_json::from_value(canary).unwrap();
        Rollout { canary: Some(canary), ..rollout.clone() }.check()
    };
    assert!(bad(json!({"percent": 0})).is_err());
    assert!(bad(json!({"percent": 101})).is_err());
    assert!(bad(json!({"percent": 5, "max_error_percent": -1.0})).is_err());
    assert!(bad(json!({"percent": 5})).is_ok());
}
