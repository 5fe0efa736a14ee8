use std::sync::Arc;

use super::*;
use crate::{
    beat::{Beat, RunningActor, RunningProvider},
    directory::{Directory, mix},
    fixtures::{actor, beat, host, provider},
};

/// A lattice without messages: hosts that do what they are told, or die, and a leader that plans each second.
struct World {
    now: Instant,
    hosts: BTreeMap<u8, Beat>,
    directory: Directory,
    declared: Declared,
    reconciler: Reconciler,
    /// Actions under way, and the rounds they still take.
    under_way: Vec<(u32, Action)>,
    told: Vec<String>,
}

impl World {
    /// Hosts `1..=count` that have been there for a while.
    fn new(count: u8) -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            hosts: (1..=count).map(|n| (n, beat(n))).collect(),
            directory: Directory::default(),
            declared: Declared::default(),
            reconciler: Reconciler::new(now),
            under_way: Vec::new(),
            told: Vec::new(),
        };
        world.hear();
        world.now += SETTLE;
        world
    }

    fn declare(&mut self, replicas: u32) {
        let declared = DeclaredActor { reference: "v1".into(), replicas, ..Default::default() };
        self.declared.actors.insert(actor(1), declared);
    }

    fn hear(&mut self) {
        for beat in self.hosts.values() {
            self.directory.heard(self.now, sent_now(beat));
        }
        self.directory.expire(self.now);
    }

    fn change(&mut self, n: u8, change: impl FnOnce(&mut Beat)) {
        let beat = self.hosts.get_mut(&n).unwrap();
        change(beat);
        beat.version += 1;
    }

    fn plan(&mut self) -> Vec<Action> {
        self.hear();
        let snapshot: Arc<DirectorySnapshot> = self.directory.snapshot();
        self.reconciler.plan(self.now, &self.declared, &snapshot)
    }

    /// Plans, carries everything out at once, and lets a second pass. Returns what was done, as short text.
    fn round(&mut self) -> Vec<String> {
        let actions = self.plan();
        for action in &actions {
            self.carry_out(action);
            self.reconciler.outcome(self.now, action, Ok(()));
        }
        self.now += Duration::from_secs(1);
        actions.iter().map(describe).collect()
    }

    fn number(&self, id: HostId) -> Option<u8> {
        self.hosts.keys().find(|n| host(**n) == id).copied()
    }

    fn carry_out(&mut self, action: &Action) {
        let Some(n) = self.number(action.host) else { return };
        let (target, work) = (action.target.clone(), action.work.clone());
        self.change(n, |beat| apply(beat, &target, &work));
    }

    fn runs(&self, target: &Target) -> Vec<u8> {
        let runs = |beat: &Beat| match target {
            Target::Actor(id) => beat.actors.get(id).is_some_and(|it| it.declared),
            Target::Provider(id) => beat.providers.get(id).is_some_and(|it| it.declared),
        };
        self.hosts.iter().filter(|(_, beat)| runs(beat)).map(|(n, _)| *n).collect()
    }

    /// What is not as declared.
    fn shortages(&self) -> Vec<Standing> {
        let standings = self.reconciler.standings().iter();
        standings.filter(|standing| standing.running < standing.wanted || !standing.why.is_empty()).cloned().collect()
    }

    fn standing(&self) -> &Standing {
        &self.reconciler.standings()[0]
    }

    fn actors(&self) -> Vec<u8> {
        self.runs(&Target::Actor(actor(1)))
    }
}

fn apply(beat: &mut Beat, target: &Target, work: &Work) {
    match (target, work) {
        (Target::Actor(id), Work::StartActor { declared }) => {
            let max_in_flight = declared.max_in_flight.unwrap_or(10);
            let reference = declared.reference.clone();
            let running =
                RunningActor { reference, trial: None, revision: 1, max_in_flight, call_alias: None, declared: true };
            beat.actors.insert(*id, running);
        }
        (Target::Provider(id), Work::StartProvider { declared }) => {
            let running = RunningProvider {
                reference: declared.reference.clone(),
                declared: true,
                repeatable: Default::default(),
            };
            beat.providers.insert(id.clone(), running);
        }
        (Target::Actor(id), Work::Stop) => drop(beat.actors.remove(id)),
        (Target::Provider(id), Work::Stop) => drop(beat.providers.remove(id)),
        (Target::Actor(id), Work::Resize { max_in_flight }) => {
            beat.actors.get_mut(id).unwrap().max_in_flight = *max_in_flight;
        }
        (Target::Actor(id), Work::Update { reference }) => {
            beat.actors.get_mut(id).unwrap().reference.clone_from(reference);
        }
        (Target::Provider(id), Work::Update { reference }) => {
            beat.providers.get_mut(id).unwrap().reference.clone_from(reference);
        }
        other => panic!("{other:?} makes no sense"),
    }
}

/// `start 1`, `stop 2`: what on which host.
fn describe(action: &Action) -> String {
    let n = (1..=20).find(|n| host(*n) == action.host).unwrap();
    match &action.work {
        Work::StartActor { .. } | Work::StartProvider { .. } => format!("start {n}"),
        Work::Stop => format!("stop {n}"),
        Work::Resize { max_in_flight } => format!("resize {n} to {max_in_flight}"),
        Work::Update { reference } => format!("update {n} to {reference}"),
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn what_is_declared_is_started_scaled_changed_and_stopped() {
    let mut world = World::new(3);
    world.declare(2);
    assert_eq!(world.round(), ["start 1", "start 2"]);
    assert_eq!(world.round(), nothing());
    assert!(world.shortages().is_empty());
    world.declare(3);
    assert_eq!(world.round(), ["start 3"]);
    world.declared.actors.get_mut(&actor(1)).unwrap().max_in_flight = Some(4);
    assert_eq!(world.round(), ["resize 1 to 4", "resize 2 to 4", "resize 3 to 4"]);
    world.declared.actors.get_mut(&actor(1)).unwrap().reference = "v2".into();
    world.declared.rolling.insert(Target::Actor(actor(1)));
    assert_eq!(world.round(), nothing(), "a rollout's versions are left alone");
    world.declared.rolling.clear();
    assert_eq!(world.round(), ["update 1 to v2"], "one after the other");
    assert_eq!(world.round(), ["update 2 to v2"]);
    assert_eq!(world.round(), ["update 3 to v2"]);
    world.declare(1);
    world.declared.actors.get_mut(&actor(1)).unwrap().reference = "v2".into();
    assert_eq!(world.round(), ["stop 2", "stop 3"]);
    world.declared.actors.clear();
    assert_eq!(world.round(), ["stop 1"]);
    assert_eq!(world.round(), nothing());
}

#[test]
fn what_a_dead_host_ran_is_placed_anew() {
    let mut world = World::new(3);
    world.declare(2);
    world.round();
    let dead = world.hosts.remove(&1).unwrap();
    let planned: Vec<_> = (0..5).map(|_| world.round()).collect();
    assert_eq!(planned.concat(), ["start 3"]);
    // It comes back as it was: one too many, which is stopped once, not moved about.
    world.hosts.insert(1, dead);
    let planned: Vec<_> = (0..5).map(|_| world.round()).collect();
    assert_eq!(planned.concat().len(), 1, "{planned:?}");
    assert_eq!(world.actors().len(), 2);
}

#[test]
fn a_draining_host_keeps_its_work_until_it_runs_elsewhere() {
    let mut world = World::new(2);
    world.declare(1);
    world.round();
    world.change(1, |beat| beat.draining = true);
    let start = world.plan();
    assert_eq!(start.iter().map(describe).collect::<Vec<_>>(), ["start 2"]);
    world.now += Duration::from_secs(5);
    assert_eq!(world.plan(), [], "not before the other runs");
    world.carry_out(&start[0]);
    assert_eq!(world.round(), ["stop 1"]);
    // With nowhere to go, it is better than nothing.
    world.change(2, |beat| beat.draining = true);
    assert_eq!(world.round(), nothing());
    assert_eq!(world.shortages()[0].wanted, 1);
}

#[test]
fn what_people_started_by_hand_is_left_alone() {
    let mut world = World::new(2);
    world.declare(2);
    let by_hand = |beat: &mut Beat| {
        apply(beat, &Target::Actor(actor(1)), &Work::StartActor { declared: DeclaredActor::default() });
        beat.actors.values_mut().for_each(|actor| actor.declared = false);
    };
    world.change(1, by_hand);
    assert_eq!(world.round(), ["start 2"]);
    assert_eq!(world.shortages().len(), 1);
    world.declared.actors.clear();
    assert_eq!(world.round(), ["stop 2"]);
}

#[test]
fn it_is_told_when_nothing_more_will_change_and_why() {
    // All is well.
    let mut world = World::new(3);
    world.declare(2);
    world.declared.revisions.insert(Target::Actor(actor(1)), 7);
    world.plan();
    assert!(!world.standing().is_settled, "it is being started");
    world.now += Duration::from_secs(61);
    world.round();
    world.round();
    let Standing { revision, wanted, running, is_settled, why, .. } = world.standing().clone();
    assert_eq!((revision, wanted, running, is_settled, why), (7, 2, 2, true, vec![]));
    // Another version is on its way, one host after the other.
    world.declared.actors.get_mut(&actor(1)).unwrap().reference = "v2".into();
    assert_eq!(world.round(), ["update 1 to v2"]);
    assert_eq!((world.standing().running, world.standing().is_settled), (0, false));
    world.round();
    world.round();
    assert_eq!((world.standing().running, world.standing().is_settled), (2, true));
    // No host has the label.
    let constraints = BTreeMap::from([("zone".to_owned(), "nowhere".to_owned())]);
    world.declared.actors.get_mut(&actor(1)).unwrap().constraints = constraints;
    world.round();
    assert!(!world.standing().is_settled, "it is being stopped");
    world.round();
    world.round();
    let standing = world.standing();
    assert_eq!((standing.running, standing.is_settled), (0, true));
    assert!(standing.why.iter().any(|why| why.contains("no host has zone=nowhere")), "{:?}", standing.why);
}

#[test]
fn what_each_host_refuses_twice_or_runs_by_hand_does_not_change_by_itself() {
    let mut world = World::new(2);
    world.declare(2);
    world.change(1, |beat| {
        apply(beat, &Target::Actor(actor(1)), &Work::StartActor { declared: DeclaredActor::default() });
        beat.actors.values_mut().for_each(|actor| actor.declared = false);
    });
    for times in 1..=2 {
        for action in world.plan() {
            world.reconciler.outcome(world.now, &action, Err("no file".into()));
        }
        assert_eq!(world.plan(), []);
        assert_eq!(world.standing().is_settled, times == 2, "{:?}", world.standing());
        world.now += Duration::from_millis(1_100);
    }
    let why = &world.standing().why;
    for (number, said) in [(1, "started by hand"), (2, "no file")] {
        let of_host = why.iter().find(|why| why.starts_with(&host(number).to_string()));
        assert!(of_host.is_some_and(|why| why.contains(said)), "{why:?}");
    }
}

#[test]
fn what_nobody_can_read_is_left_as_it_is() {
    let mut world = World::new(2);
    world.declare(1);
    world.round();
    world.declared.actors.clear();
    world.declared.unreadable.insert(Target::Actor(actor(1)));
    assert_eq!(world.round(), nothing());
    world.declared.unreadable.clear();
    assert_eq!(world.round(), ["stop 1"]);
}

#[test]
fn a_failure_is_tried_elsewhere_at_once_and_there_later_and_later() {
    let mut world = World::new(2);
    world.declare(1);
    let fail = |world: &mut World| {
        let actions = world.plan();
        for action in &actions {
            world.reconciler.outcome(world.now, action, Err("no disk".into()));
        }
        actions.iter().map(describe).collect::<Vec<_>>()
    };
    assert_eq!(fail(&mut world), ["start 1"]);
    assert_eq!(fail(&mut world), ["start 2"]);
    assert_eq!(fail(&mut world), nothing());
    assert!(world.shortages()[0].why.iter().any(|why| why.ends_with("no disk")));
    let begun = world.now;
    let mut tries = Vec::new();
    while tries.len() < 14 {
        world.now += Duration::from_millis(500);
        tries.extend(fail(&mut world));
    }
    // 1, 2, 4, ... 60: two hosts, seven tries each.
    let took = (world.now - begun).as_secs();
    assert!((120..=130).contains(&took), "{took}");
}

#[test]
fn a_host_is_asked_for_few_starts_at_once_and_a_lost_one_is_asked_again() {
    let mut world = World::new(1);
    for n in 1..=6 {
        let declared = DeclaredActor { reference: "v1".into(), replicas: 1, ..Default::default() };
        world.declared.actors.insert(actor(n), declared);
    }
    assert_eq!(world.plan().len(), STARTS_AT_ONCE);
    assert_eq!(world.plan(), []);
    for _ in 0..59 {
        world.now += Duration::from_secs(1);
        assert_eq!(world.plan(), []);
    }
    world.now += Duration::from_secs(1);
    assert_eq!(world.plan().len(), STARTS_AT_ONCE);
}

#[test]
fn a_host_that_just_appeared_gets_nothing_yet() {
    let mut world = World::new(1);
    world.declare(2);
    world.hosts.insert(2, beat(2));
    assert_eq!(world.round(), ["start 1"]);
    assert_eq!(world.round(), ["start 2"]);
}

#[test]
fn a_new_leader_waits_until_it_can_have_heard_all() {
    let mut world = World::new(1);
    world.declare(1);
    world.reconciler = Reconciler::new(world.now + Duration::from_secs(2));
    assert_eq!([world.round(), world.round()].concat(), nothing());
    assert_eq!(world.round(), ["start 1"]);
}

/// Checks one plan against the rules, before it is carried out.
fn check(world: &World, before: &[(u32, Action)], actions: &[Action], seed: u64) {
    for action in actions {
        let n = world.number(action.host);
        let beat = n.and_then(|n| world.hosts.get(&n));
        let is_declared = beat.is_none_or(|beat| match &action.target {
            Target::Actor(id) => beat.actors.get(id).is_none_or(|it| it.declared),
            Target::Provider(id) => beat.providers.get(id).is_none_or(|it| it.declared),
        });
        assert!(is_declared, "seed {seed}: {action:?} touches what somebody started by hand");
        let Some(declared) = world.declared.actors.get(&actor(1)) else { continue };
        if action.target != Target::Actor(actor(1)) {
            continue;
        }
        let known = world.directory_view().hosts().clone();
        let is_eligible = |beat: &Beat| !beat.draining && beat.labels.get("disk").map(String::as_str) == Some("1");
        let runs: BTreeSet<HostId> = known
            .iter()
            .filter(|(_, it)| it.beat.actors.get(&actor(1)).is_some_and(|it| it.declared))
            .map(|(host, _)| *host)
            .collect();
        let under_way = before.iter().map(|(_, action)| action).chain(actions);
        let of_actor: Vec<_> =
            under_way.filter(|it| it.target == action.target && known.contains_key(&it.host)).collect();
        let stopping: BTreeSet<_> = of_actor.iter().filter(|it| it.work == Work::Stop).map(|it| it.host).collect();
        if action.work.is_start() {
            assert!(is_eligible(&known[&action.host].beat), "seed {seed}: a start where it must not be");
            let starting = of_actor.iter().filter(|it| it.work.is_start()).map(|it| it.host);
            let hosts: BTreeSet<HostId> = starting.chain(runs.difference(&stopping).copied()).collect();
            let settled = hosts.iter().filter(|host| is_eligible(&known[*host].beat)).count();
            assert!(settled <= declared.replicas as usize, "seed {seed}: {settled} are more than declared");
        }
        if action.work == Work::Stop {
            let left = runs.difference(&stopping).count();
            let eligible = known.values().filter(|it| is_eligible(&it.beat)).count();
            assert!(left >= eligible.min(declared.replicas as usize).min(1), "seed {seed}: the last one is stopped");
        }
    }
}

impl World {
    fn directory_view(&self) -> Arc<DirectorySnapshot> {
        let mut copy = Directory::default();
        for beat in self.hosts.values() {
            copy.heard(self.now, sent_now(beat));
        }
        copy.snapshot()
    }

    /// One second in which hosts die, return, drain and fail.
    fn chaos(&mut self, random: &mut impl FnMut(u64) -> u64, seed: u64) {
        let n = u8::try_from(1 + random(8)).unwrap();
        match random(10) {
            0 if self.hosts.len() > 1 => {
                self.hosts.remove(&n);
                // Nobody listens there any more: the directory learns it at once.
                self.directory.lost(&host(n));
                self.under_way.retain(|(_, action)| action.host != host(n));
            }
            1 | 2 if !self.hosts.contains_key(&n) => drop(self.hosts.insert(n, fresh(n, random(1 << 40)))),
            3 if self.hosts.contains_key(&n) => self.change(n, |beat| beat.draining = !beat.draining),
            _ => {}
        }
        self.advance(random, seed, 6);
    }

    /// Plans; actions end after some rounds, and one of `of` fails (none when 0).
    fn advance(&mut self, random: &mut impl FnMut(u64) -> u64, seed: u64, of: u64) -> usize {
        let actions = self.plan();
        check(self, &self.under_way, &actions, seed);
        let count = actions.len();
        self.told.extend(actions.iter().map(describe));
        self.under_way.extend(actions.into_iter().map(|action| (u32::try_from(random(4)).unwrap(), action)));
        let (ended, still): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.under_way).into_iter().partition(|it| it.0 == 0);
        self.under_way = still.into_iter().map(|(rounds, action)| (rounds - 1, action)).collect();
        for (_, action) in ended {
            let fails = of > 0 && random(of) == 0;
            if !fails {
                self.carry_out(&action);
            }
            let result = if fails { Err("chance".to_owned()) } else { Ok(()) };
            self.reconciler.outcome(self.now, &action, result);
        }
        self.now += Duration::from_secs(1);
        count
    }
}

fn sent_now(told: &Beat) -> Beat {
    Beat { sent: beat(1).sent, ..told.clone() }
}

fn fresh(n: u8, incarnation: u64) -> Beat {
    let labels = [("disk".to_owned(), u8::from(n != 8).to_string()), ("zone".to_owned(), (n % 2).to_string())];
    Beat { labels: labels.into(), incarnation: 1_000 + incarnation, ..beat(n) }
}

#[test]
fn from_any_state_it_converges_and_never_breaks_the_rules() {
    for seed in 0..300 {
        let mut state = seed;
        let mut random = move |below: u64| {
            state = mix(state);
            state % below
        };
        let mut world = World::new(0);
        world.hosts = (1..=8).map(|n| (n, fresh(n, 0))).collect();
        world.hear();
        world.now += SETTLE;
        world.declare(u32::try_from(1 + random(4)).unwrap());
        let constraints = BTreeMap::from([("disk".to_owned(), "1".to_owned())]);
        world.declared.actors.get_mut(&actor(1)).unwrap().constraints = constraints;
        let zone = |zone: &str, weight| Spread { name: None, labels: [("zone".into(), zone.into())].into(), weight };
        let store = DeclaredProvider {
            reference: "v1".into(),
            replicas: u32::try_from(random(5)).unwrap(),
            spread: vec![zone("0", 2), zone("1", 1)],
            ..Default::default()
        };
        world.declared.providers.insert(provider("kv"), store.clone());
        for _ in 0..60 {
            world.chaos(&mut random, seed);
        }
        // All hosts are well again; failures are over.
        for n in 1..=8 {
            world.hosts.entry(n).or_insert_with(|| fresh(n, 1 << 41)).draining = false;
            world.change(n, |_| ());
        }
        let mut quiet = 0;
        let rounds = (0..200).find(|_| {
            quiet = if world.advance(&mut random, seed, 0) == 0 && world.under_way.is_empty() { quiet + 1 } else { 0 };
            quiet == 70
        });
        assert!(rounds.is_some(), "seed {seed}: no end: {:?}", world.told.iter().rev().take(20).collect::<Vec<_>>());
        let wanted = world.declared.actors[&actor(1)].replicas as usize;
        let runs = world.actors();
        assert_eq!(runs.len(), wanted, "seed {seed}: {runs:?}");
        assert!(!runs.contains(&8), "seed {seed}: host 8 has no disk");
        let stores = world.runs(&Target::Provider(provider("kv")));
        let even = stores.iter().filter(|n| *n % 2 == 0).count();
        let expected = [0, 1, 1, 2, 3][store.replicas as usize];
        assert_eq!((stores.len(), even), (store.replicas as usize, expected), "seed {seed}: {stores:?}");
        assert_eq!(world.shortages(), [], "seed {seed}");
    }
}
