use super::*;
use crate::fixtures::host;

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

fn lease(n: u8, term: u64, renewed: u64) -> Lease {
    Lease { host: host(n), term, renewed, released: false, extra: BTreeMap::new() }
}

/// A write, as short text: `term.counter@expected`.
fn told(effects: &[Effect]) -> Vec<String> {
    let told = effects.iter().map(|effect| match effect {
        Effect::Write { lease, expect } => {
            let expect = match expect {
                Expect::Any => "any".to_owned(),
                Expect::Absent => "absent".to_owned(),
                Expect::Unwritten => "unwritten".to_owned(),
                Expect::Revision(revision) => revision.to_string(),
            };
            let released = if lease.released { "released " } else { "" };
            format!("{released}{}.{}@{expect}", lease.term, lease.renewed)
        }
        Effect::Lead { term } => format!("lead {term}"),
        Effect::Follow => "follow".to_owned(),
    });
    told.collect()
}

/// Ticks until something happens, at most until `until`; returns when and what.
fn tick(election: &mut Election, start: Instant, from: u64, until: u64) -> Option<(u64, Vec<String>)> {
    (from..=until).step_by(50).find_map(|ms| {
        let effects = election.handle(at(start, ms), Event::Tick);
        (!effects.is_empty()).then(|| (ms, told(&effects)))
    })
}

/// A host that leads as term 1, revision 10, since the moment returned.
fn leader(start: Instant) -> (Election, u64) {
    let mut election = Election::new(host(1));
    assert_eq!(tick(&mut election, start, 0, 5_000), None, "who has seen nothing does not try");
    election.handle(start, Event::Saw { lease: None, revision: 0 });
    let (ms, effects) = tick(&mut election, start, 0, 400).unwrap();
    assert_eq!(effects, ["1.1@absent"]);
    assert_eq!(told(&election.handle(at(start, ms), Event::Written { renewed: 1, revision: 10 })), ["lead 1"]);
    (election, ms)
}

#[test]
fn a_leader_renews_and_stops_in_time_when_it_cannot() {
    let start = Instant::now();
    let (mut election, t) = leader(start);
    assert_eq!(tick(&mut election, start, t, t + 2_000), Some((t + 400, vec!["1.2@10".into()])));
    assert_eq!(election.handle(at(start, t + 450), Event::Written { renewed: 2, revision: 11 }), []);
    // Its own write seen on the watch is no news.
    assert_eq!(election.handle(at(start, t + 460), Event::Saw { lease: Some(lease(1, 1, 2)), revision: 11 }), []);
    assert_eq!(tick(&mut election, start, t + 460, t + 2_000), Some((t + 810, vec!["1.3@11".into()])));
    assert_eq!(election.handle(at(start, t + 900), Event::NotWritten { renewed: 3 }), []);
    assert_eq!(tick(&mut election, start, t + 900, t + 2_000), Some((t + 1_100, vec!["1.4@11".into()])));
    // The age counts from when the last good renewal was sent: t + 400.
    assert_eq!(election.leads(at(start, t + 1_399)), Some(1));
    assert_eq!(election.leads(at(start, t + 1_400)), None);
    assert_eq!(tick(&mut election, start, t + 1_150, t + 2_000), Some((t + 1_400, vec!["follow".into()])));
}

#[test]
fn the_age_of_a_lease_counts_from_when_it_was_sent() {
    let start = Instant::now();
    let mut election = Election::new(host(1));
    election.handle(start, Event::Saw { lease: None, revision: 0 });
    let (ms, _) = tick(&mut election, start, 0, 400).unwrap();
    let late = election.handle(at(start, ms + 600), Event::Written { renewed: 1, revision: 10 });
    assert_eq!(told(&late), ["lead 1", "1.2@10"], "and is renewed at once");
    assert_eq!(election.leads(at(start, ms + 999)), Some(1));
    assert_eq!(election.leads(at(start, ms + 1_000)), None);
    // Written, but so late that others may have taken over: of no use.
    let mut election = Election::new(host(1));
    election.handle(start, Event::Saw { lease: None, revision: 0 });
    let (ms, _) = tick(&mut election, start, 0, 400).unwrap();
    assert_eq!(election.handle(at(start, ms + 1_000), Event::Written { renewed: 1, revision: 10 }), []);
}

#[test]
fn a_renewal_of_unknown_outcome_counts_when_it_is_seen() {
    let start = Instant::now();
    let (mut election, t) = leader(start);
    tick(&mut election, start, t, t + 400).unwrap();
    election.handle(at(start, t + 900), Event::NotWritten { renewed: 2 });
    assert_eq!(election.handle(at(start, t + 950), Event::Saw { lease: Some(lease(1, 1, 2)), revision: 11 }), []);
    assert_eq!(election.leads(at(start, t + 1_399)), Some(1));
    assert_eq!(told(&election.handle(at(start, t + 1_100), Event::Tick)), ["1.3@11"]);
}

#[test]
fn a_leader_follows_at_once_when_another_has_the_lease_or_a_later_term_exists() {
    let start = Instant::now();
    for (event, expected) in [
        (Event::Saw { lease: Some(lease(2, 2, 1)), revision: 12 }, vec!["follow"]),
        (Event::Saw { lease: None, revision: 12 }, vec!["follow"]),
        (Event::Saw { lease: Some(lease(2, 2, 1)), revision: 9 }, vec![]),
        (Event::Refused { term: 7 }, vec!["follow"]),
        (Event::Refused { term: 1 }, vec![]),
        (Event::Resign, vec!["follow", "released 1.2@10"]),
    ] {
        let (mut election, t) = leader(start);
        assert_eq!(told(&election.handle(at(start, t + 10), event.clone())), expected, "{event:?}");
    }
}

#[test]
fn a_follower_waits_for_the_lease_to_stand_still() {
    let start = Instant::now();
    let mut election = Election::new(host(2));
    election.handle(start, Event::Saw { lease: Some(lease(1, 4, 1)), revision: 5 });
    election.handle(at(start, 1_000), Event::Saw { lease: Some(lease(1, 4, 2)), revision: 6 });
    let (ms, effects) = tick(&mut election, start, 1_000, 5_000).unwrap();
    assert!((2_500..=2_850).contains(&ms), "{ms}");
    assert_eq!(effects, ["5.1@6"]);
    assert_eq!(election.handle(at(start, ms), Event::NotWritten { renewed: 1 }), []);
    // Another was first: it gets its own time.
    election.handle(at(start, ms), Event::Saw { lease: Some(lease(3, 5, 1)), revision: 7 });
    let (again, effects) = tick(&mut election, start, ms, ms + 5_000).unwrap();
    assert!(again >= ms + 1_500);
    assert_eq!(effects, ["6.2@7"]);
}

#[test]
fn a_released_lease_is_taken_soon_and_a_disconnected_host_does_not_try() {
    let start = Instant::now();
    let mut election = Election::new(host(2));
    election.handle(start, Event::Saw { lease: Some(lease(1, 4, 1)), revision: 5 });
    election.handle(start, Event::Disconnected);
    assert_eq!(tick(&mut election, start, 0, 9_000), None);
    election.handle(at(start, 9_000), Event::Connected);
    assert_eq!(tick(&mut election, start, 9_000, 10_450), None, "the holder gets its time again");
    let released = Lease { released: true, ..lease(1, 4, 2) };
    election.handle(at(start, 10_450), Event::Saw { lease: Some(released), revision: 6 });
    let (ms, _) = tick(&mut election, start, 10_450, 20_000).unwrap();
    assert!(ms <= 10_800, "{ms}");
}

#[test]
fn a_store_that_lost_everything_does_not_lower_the_term() {
    let start = Instant::now();
    let mut election = Election::new(host(2));
    election.handle(start, Event::Saw { lease: Some(lease(1, 4, 1)), revision: 500 });
    election.handle(start, Event::Connected);
    election.handle(start, Event::Saw { lease: None, revision: 0 });
    let (ms, effects) = tick(&mut election, start, 0, 2_000).unwrap();
    assert!(ms >= 1_500, "who held it may not know yet");
    assert_eq!(effects, ["5.1@absent"]);
}

#[test]
fn who_resigned_does_not_come_back() {
    let start = Instant::now();
    let (mut election, t) = leader(start);
    election.handle(at(start, t), Event::Resign);
    election.handle(at(start, t), Event::Saw { lease: None, revision: 90 });
    assert_eq!(tick(&mut election, start, t, t + 9_000), None);
}

#[test]
fn a_fence_refuses_what_is_older_than_what_it_has_seen() {
    let mut fence = Fence::default();
    assert!([1, 1, 3].map(|term| fence.admit(term)).into_iter().all(|admitted| admitted));
    assert!(!fence.admit(2));
    assert!(fence.admit(3));
    assert!(!fence.admit(u64::MAX));
    assert_eq!(fence.highest(), 3);
}

#[test]
fn the_entry_is_plain_json_and_keeps_what_newer_hosts_wrote() {
    let json = format!(r#"{{"host":"{}","term":3,"renewed":7,"since":"today"}}"#, host(1));
    let lease: Lease = serde_json::from_str(&json).unwrap();
    assert_eq!(lease.extra["since"], "today");
    assert_eq!(serde_json::to_string(&lease).unwrap(), json);
}

/// Several hosts and one store: messages are late and lost, hosts are cut off, clocks differ by some percent.
struct World {
    hosts: Vec<Election>,
    start: Instant,
    random: u64,
    store: (Option<Lease>, u64),
    mail: BTreeMap<(u64, u64), Mail>,
    cut_until: Vec<u64>,
    sequence: u64,
}

enum Mail {
    Write(usize, Lease, Expect),
    Event(usize, Event),
}

impl World {
    fn random(&mut self, below: u64) -> u64 {
        self.random = mix(self.random);
        self.random % below
    }

    /// A host's own clock: others' are faster or slower by up to four percent.
    fn clock(&self, index: usize, ms: u64) -> Instant {
        at(self.start, 1_000 * index as u64 + ms * (96 + 2 * index as u64) / 100)
    }

    fn post(&mut self, at: u64, mail: Mail) {
        self.sequence += 1;
        self.mail.insert((at, self.sequence), mail);
    }

    fn deliver(&mut self, now: u64, index: usize, event: Event) -> Vec<u64> {
        let clock = self.clock(index, now);
        let effects = self.hosts[index].handle(clock, event);
        let mut terms = Vec::new();
        for effect in effects {
            match effect {
                Effect::Lead { term } => terms.push(term),
                Effect::Follow => {}
                Effect::Write { lease, expect } => {
                    let renewed = lease.renewed;
                    let delay = 1 + self.random(60);
                    if self.random(10) > 0 {
                        self.post(now + delay, Mail::Write(index, lease, expect));
                    }
                    self.post(now + 500, Mail::Event(index, Event::NotWritten { renewed }));
                }
            }
        }
        terms
    }

    fn write(&mut self, now: u64, index: usize, lease: Lease, expect: Expect) {
        let renewed = lease.renewed;
        let holds = match expect {
            Expect::Any => true,
            Expect::Unwritten | Expect::Absent => self.store.0.is_none(),
            Expect::Revision(revision) => self.store.1 == revision,
        };
        let answer = if holds {
            self.store = (Some(lease), self.store.1 + 1);
            Event::Written { renewed, revision: self.store.1 }
        } else {
            Event::NotWritten { renewed }
        };
        if self.random(10) > 0 {
            let delay = 1 + self.random(60);
            self.post(now + delay, Mail::Event(index, answer));
        }
    }

    /// One millisecond of one world; returns the terms that began.
    fn step(&mut self, now: u64) -> Vec<u64> {
        let mut terms = Vec::new();
        while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Mail::Write(index, lease, expect) if self.cut_until[index] <= now => {
                    self.write(now, index, lease, expect)
                }
                Mail::Event(index, event) => terms.extend(self.deliver(now, index, event)),
                Mail::Write(..) => {}
            }
        }
        for index in 0..self.hosts.len() {
            if self.random(4_000) == 0 {
                self.cut_until[index] = now + self.random(4_000);
            }
            // The watch shows the latest entry, sometimes late.
            if self.cut_until[index] <= now && self.random(20) == 0 {
                let (lease, revision) = self.store.clone();
                terms.extend(self.deliver(now, index, Event::Saw { lease, revision }));
            }
            if now.is_multiple_of(100) {
                terms.extend(self.deliver(now, index, Event::Tick));
            }
        }
        terms
    }
}

#[test]
fn there_is_never_more_than_one_leader_and_mostly_one() {
    for seed in 0..20 {
        let mut world = World {
            hosts: (1..=5).map(|n| Election::new(host(n))).collect(),
            start: Instant::now(),
            random: seed,
            store: (None, 0),
            mail: BTreeMap::new(),
            cut_until: vec![0; 5],
            sequence: 0,
        };
        let (mut led, mut terms) = (0, Vec::new());
        for now in 0..30_000 {
            terms.extend(world.step(now));
            let leading: Vec<_> =
                (0..5).filter(|index| world.hosts[*index].leads(world.clock(*index, now)).is_some()).collect();
            assert!(leading.len() <= 1, "seed {seed}: {leading:?} lead at {now}");
            led += leading.len();
        }
        assert!(terms.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: terms grow: {terms:?}");
        assert!(led > 15_000, "seed {seed}: somebody led for {led} of 30000 ms in {} terms", terms.len());
    }
}

#[test]
fn what_is_left_of_a_lease_is_overwritten() {
    let start = Instant::now();
    // One that cannot be read, and one that was deleted.
    for before in [None, Some(lease(1, 4, 1))] {
        let mut election = Election::new(host(2));
        let known = before.is_some();
        if known {
            election.handle(start, Event::Saw { lease: before, revision: 6 });
        }
        election.handle(start, Event::Saw { lease: None, revision: 7 });
        let (ms, effects) = tick(&mut election, start, 0, 2_000).unwrap();
        assert_eq!((effects, ms >= 1_500), (vec![format!("{}.1@7", if known { 5 } else { 1 })], known));
    }
}

#[test]
fn what_the_store_has_counts_when_no_watch_tells() {
    let start = Instant::now();
    let mut election = Election::new(host(2));
    election.handle(start, Event::Saw { lease: Some(lease(1, 4, 1)), revision: 500 });
    let (ms, effects) = tick(&mut election, start, 0, 5_000).unwrap();
    assert_eq!(effects, ["5.1@500"]);
    let conflicted = Event::Conflicted { renewed: 1, expected: 500, lease: None, revision: 0 };
    assert_eq!(election.handle(at(start, ms), conflicted.clone()), []);
    let (_, effects) = tick(&mut election, start, ms, ms + 5_000).unwrap();
    assert_eq!(effects, ["5.2@absent"]);
    // What the watch told meanwhile is newer.
    election.handle(at(start, ms), Event::Saw { lease: Some(lease(3, 6, 1)), revision: 2 });
    election.handle(at(start, ms), conflicted);
    assert_eq!(election.leader(), Some(host(3)));
    // After the watch began anew, revisions may be lower.
    election.handle(at(start, ms), Event::Anew);
    election.handle(at(start, ms), Event::Saw { lease: Some(lease(4, 7, 1)), revision: 1 });
    assert_eq!(election.leader(), Some(host(4)));
}

#[test]
fn a_leader_that_is_not_obeyed_leaves_it_to_others_for_a_minute() {
    let start = Instant::now();
    let (mut election, t) = leader(start);
    assert_eq!(told(&election.handle(at(start, t), Event::StepDown)), ["follow", "released 1.2@10"]);
    let released = Lease { released: true, ..lease(1, 1, 2) };
    election.handle(at(start, t), Event::Saw { lease: Some(released), revision: 11 });
    assert_eq!(tick(&mut election, start, t, t + 59_950), None);
    assert_eq!(tick(&mut election, start, t, t + 60_000), Some((t + 60_000, vec!["2.3@11".into()])));
}

#[test]
fn a_leader_that_is_not_obeyed_again_leaves_it_to_others_for_longer() {
    let start = Instant::now();
    let mut election = Election::new(host(1));
    let (mut t, mut pauses) = (0, Vec::new());
    for round in 0..7 {
        election.handle(at(start, t), Event::StepDown);
        let mut pause = 0;
        let wrote = |election: &mut Election, ms| {
            election.handle(at(start, ms), Event::Saw { lease: None, revision: 1 + round });
            !election.handle(at(start, ms + 3_000), Event::Tick).is_empty()
        };
        while !wrote(&mut election, t + pause) {
            pause += 1_000;
        }
        pauses.push((pause + 3_000) / 60_000);
        t += pause + 3_000;
        election = Election { writing: None, leading: None, ..election };
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 16, 16]);
    // It went well for long: as the first time.
    election.handle(at(start, t + 3_600_000), Event::StepDown);
    assert_eq!(election.steps_down_for, STEPS_DOWN_FOR);
}

#[test]
fn who_is_outvoted_lets_go_and_does_not_try() {
    let start = Instant::now();
    let (mut election, t) = leader(start);
    assert_eq!(told(&election.handle(at(start, t), Event::Outvoted(true))), ["follow", "released 1.2@10"]);
    let released = Lease { released: true, ..lease(1, 1, 2) };
    election.handle(at(start, t), Event::Saw { lease: Some(released), revision: 11 });
    assert_eq!(tick(&mut election, start, t, t + 600_000), None);
    let again = told(&election.handle(at(start, t + 600_000), Event::Outvoted(false)));
    assert_eq!(again, ["2.3@11"]);
}

#[test]
fn two_leaders_never_share_a_term_however_late_it_is() {
    let start = Instant::now();
    let mut election = Election::new(host(1));
    let last = |term, revision| Event::Saw { lease: Some(lease(2, term, 1)), revision };
    election.handle(start, last(TERM_MAX - 1, 1));
    election.handle(start, Event::Refused { term: u64::MAX });
    let (ms, effects) = tick(&mut election, start, 0, 2_000).unwrap();
    assert_eq!(effects, [format!("{TERM_MAX}.1@1")]);
    election.handle(at(start, ms), last(TERM_MAX, 2));
    assert_eq!(tick(&mut election, start, ms, ms + 10_000), None);
}
