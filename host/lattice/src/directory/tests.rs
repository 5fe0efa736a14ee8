use super::*;
use crate::fixtures::{actor, beat, host, provider, running};

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn newer_notices_win_and_older_ones_are_ignored() {
    let now = Instant::now();
    let mut directory = Directory::default();
    let told = |incarnation, version| Beat { incarnation, version, ..beat(1) };
    for (told, expected) in [
        (told(5, 1), Heard::Appeared),
        (told(5, 1), Heard::Same),
        (told(5, 3), Heard::Changed),
        (told(5, 2), Heard::Stale),
        (told(4, 9), Heard::Stale),
        (told(6, 1), Heard::Appeared),
        (Beat { last: true, ..told(5, 9) }, Heard::Stale),
        (Beat { last: true, ..told(6, 2) }, Heard::Left),
        (told(6, 1), Heard::Stale),
        (told(6, 3), Heard::Stale),
        (told(7, 1), Heard::Appeared),
    ] {
        assert_eq!(directory.heard(now, told.clone()), expected, "{told:?}");
    }
    assert_eq!(directory.snapshot().hosts().len(), 1);
}

#[test]
fn a_brief_notice_keeps_a_host_and_says_nothing_new() {
    let now = Instant::now();
    let mut directory = Directory::default();
    let brief = |incarnation, version| Beat {
        incarnation,
        version,
        brief: true,
        actors: BTreeMap::new(),
        providers: BTreeMap::new(),
        ..beat(1)
    };
    assert_eq!(directory.heard(now, brief(1, 1)), Heard::Unknown);
    assert!(directory.snapshot().hosts().is_empty());
    let whole = Beat { incarnation: 1, version: 1, ..beat(1) };
    directory.heard(now, whole.clone());
    assert_eq!(directory.heard(at(now, 2_000), brief(1, 1)), Heard::Same);
    assert_eq!(directory.expire(at(now, 3_500)), vec![]);
    assert_eq!(*directory.snapshot().hosts()[&host(1)].beat, whole);
    // A whole notice was missed: it is there, what it runs is not known better.
    assert_eq!(directory.heard(at(now, 4_000), brief(1, 2)), Heard::Unknown);
    assert_eq!(directory.expire(at(now, 6_500)), vec![]);
    // It came back from where nobody listened.
    assert!(directory.lost(&host(1)));
    assert_eq!(directory.heard(at(now, 6_600), brief(1, 1)), Heard::Appeared);
    // Another start of it: what is known is of the one before.
    assert_eq!(directory.heard(at(now, 6_700), brief(2, 1)), Heard::Unknown);
    assert_eq!(directory.expire(at(now, 9_600)), vec![host(1)]);
}

#[test]
fn a_silent_host_expires_after_three_intervals_or_two_seconds() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, beat(1));
    directory.heard(now, Beat { interval_ms: 100, ..beat(2) });
    assert_eq!(directory.expire(at(now, 1_999)), vec![]);
    assert_eq!(directory.expire(at(now, 2_000)), vec![host(2)]);
    assert_eq!(directory.expire(at(now, 2_999)), vec![]);
    assert_eq!(directory.expire(at(now, 3_000)), vec![host(1)]);
    assert!(directory.snapshot().hosts().is_empty() && !directory.heard_since(&host(1), now));
    // The same notice again, late or not: it is there.
    assert_eq!(directory.heard(at(now, 3_100), beat(1)), Heard::Appeared);
    assert!(directory.heard_since(&host(1), at(now, 3_100)) && !directory.heard_since(&host(1), at(now, 3_101)));
    assert_eq!(directory.snapshot().hosts()[&host(1)].since, at(now, 3_100));
}

#[test]
fn an_expired_host_comes_back_even_if_its_clock_went_backwards() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, Beat { incarnation: 9, ..beat(1) });
    assert_eq!(directory.heard(now, Beat { incarnation: 8, ..beat(1) }), Heard::Stale);
    directory.expire(at(now, 3_000));
    assert_eq!(directory.heard(at(now, 3_000), Beat { incarnation: 8, ..beat(1) }), Heard::Appeared);
}

#[test]
fn a_host_that_left_is_forgotten_in_time() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, Beat { last: true, incarnation: 9, ..beat(1) });
    assert_eq!(directory.heard(now, Beat { incarnation: 8, ..beat(1) }), Heard::Stale);
    directory.expire(at(now, 10_000));
    assert_eq!(directory.heard(at(now, 10_000), Beat { incarnation: 8, ..beat(1) }), Heard::Appeared);
}

#[test]
fn a_lost_host_is_gone_until_it_is_heard() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, running(1, &[actor(1)]));
    assert!(directory.lost(&host(1)));
    assert!(!directory.lost(&host(1)));
    assert_eq!(directory.snapshot().actor_hosts(&actor(1)), []);
    assert_eq!(directory.heard(now, running(1, &[actor(1)])), Heard::Appeared);
    assert_eq!(directory.snapshot().actor_hosts(&actor(1)), [host(1)]);
    assert!(!directory.lost(&host(2)));
}

#[test]
fn draining_hosts_are_found_only_when_nobody_else_has_it() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, Beat { draining: true, ..running(1, &[actor(1), actor(2)]) });
    directory.heard(now, running(2, &[actor(1)]));
    let snapshot = directory.snapshot();
    assert_eq!(snapshot.actor_hosts(&actor(1)), [host(2)]);
    assert_eq!(snapshot.actor_hosts(&actor(2)), [host(1)]);
    assert_eq!(snapshot.actor_hosts(&actor(3)), []);
    assert_eq!(snapshot.provider_hosts(&provider("kv")), []);
    assert_eq!(snapshot.hosts().len(), 2);
}

#[test]
fn an_alias_of_two_actors_is_the_same_for_everybody() {
    let now = Instant::now();
    let named = |n: u8, id| {
        let mut beat = running(n, &[id]);
        beat.actors.values_mut().for_each(|actor| actor.call_alias = Some("shop".into()));
        beat
    };
    let least = actor(1).min(actor(2));
    for order in [[1, 2], [2, 1]] {
        let mut directory = Directory::default();
        for n in order {
            directory.heard(now, named(n, actor(n)));
        }
        assert_eq!(directory.snapshot().actor_by_alias("shop"), Some(least));
        assert_eq!(directory.snapshot().actor_by_alias("shops"), None);
    }
}

#[test]
fn a_snapshot_is_made_anew_only_after_changes() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, beat(1));
    let first = directory.snapshot();
    directory.heard(at(now, 900), beat(1));
    directory.expire(at(now, 1_000));
    assert!(Arc::ptr_eq(&first, &directory.snapshot()));
    directory.heard(now, Beat { version: 2, ..beat(1) });
    assert!(!Arc::ptr_eq(&first, &directory.snapshot()));
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let now = Instant::now();
    let mut directory = Directory::default();
    let labels = (0..=crate::beat::LABELS_MAX).map(|n| (n.to_string(), String::new())).collect();
    for bad in [
        Beat { interval_ms: 0, ..beat(1) },
        Beat { interval_ms: u64::MAX, ..beat(1) },
        Beat { name: "x".repeat(257), ..beat(1) },
        Beat { labels, ..beat(1) },
    ] {
        assert!(matches!(directory.heard(now, bad), Heard::Refused(_)));
    }
    assert!(Beat::parse(b"{}").is_err());
    let told = beat(1);
    assert_eq!(Beat::parse(&serde_json::to_vec(&told).unwrap()), Ok(told));
    assert!(directory.snapshot().hosts().is_empty());
}

#[test]
fn the_choice_is_the_less_busy_of_two_and_avoids_suspects() {
    let now = Instant::now();
    let mut directory = Directory::default();
    let all: Vec<_> = (1..=4).map(host).collect();
    for n in 1..=4 {
        directory.heard(now, beat(n));
    }
    let busy = |candidate: &HostId| usize::from(*candidate == host(1)) * 10;
    let counts = |directory: &mut Directory, now| {
        let snapshot = directory.snapshot();
        let chosen = (0..1000).filter_map(|turn| snapshot.choose(&all, now, busy, turn));
        all.iter().map(|host| chosen.clone().filter(|chosen| chosen == host).count()).collect::<Vec<_>>()
    };
    let even = counts(&mut directory, now);
    assert_eq!(even.iter().sum::<usize>(), 1000);
    assert_eq!(even[0], 0, "the busiest loses against every other");
    assert!(even[1..].iter().all(|count| (250..420).contains(count)), "{even:?}");
    for n in 2..=4 {
        directory.suspect(&host(n), now);
    }
    assert_eq!(counts(&mut directory, now)[0], 1000);
    directory.trust(&host(2));
    assert_eq!(counts(&mut directory, now)[1], 1000);
    assert_eq!(counts(&mut directory, at(now, 2_000)), even, "suspicion ends");
    for n in 1..=4 {
        directory.suspect(&host(n), now);
    }
    assert_eq!(counts(&mut directory, now), even, "if all are suspects, any will do");
    assert_eq!(choose(&[], |_| false, busy, 0), None);
    assert_eq!(choose(&all[..1], |_| false, busy, 7), Some(host(1)));
}

#[test]
fn a_suspicion_is_nothing_for_hosts_nobody_knows() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.suspect(&host(9), now);
    assert!(!directory.snapshot().is_suspect(&host(9), now));
    directory.heard(now, beat(9));
    directory.suspect(&host(9), now);
    assert!(directory.snapshot().is_suspect(&host(9), now));
    // A new start of the host is not what was suspected.
    directory.heard(now, Beat { incarnation: 2, ..beat(9) });
    assert!(!directory.snapshot().is_suspect(&host(9), now));
}

#[test]
fn a_host_that_was_cut_off_is_avoided_for_a_moment_and_a_new_start_is_not() {
    let (now, mut directory) = (Instant::now(), Directory::default());
    directory.heard(now, beat(1));
    assert!(!directory.snapshot().is_suspect(&host(1), now));
    directory.lost(&host(1));
    assert_eq!(directory.heard(now, beat(1)), Heard::Appeared);
    assert!(directory.snapshot().is_suspect(&host(1), now));
    assert!(!directory.snapshot().is_suspect(&host(1), now + AVOID_FOR));
    directory.lost(&host(1));
    let restarted = Beat { incarnation: beat(1).incarnation + 1, ..beat(1) };
    assert_eq!(directory.heard(now, restarted), Heard::Appeared);
    assert!(!directory.snapshot().is_suspect(&host(1), now));
}

#[test]
fn a_suspicion_leaves_the_index_as_it_is_and_is_renewed_seldom() {
    let now = Instant::now();
    let mut directory = Directory::default();
    directory.heard(now, running(1, &[actor(9)]));
    let trusting = directory.snapshot();
    directory.suspect(&host(1), now);
    let first = directory.snapshot();
    assert!(first.is_suspect(&host(1), now) && Arc::ptr_eq(&trusting.known, &first.known));
    directory.suspect(&host(1), at(now, 900));
    assert!(Arc::ptr_eq(&first, &directory.snapshot()));
    directory.suspect(&host(1), at(now, 1_500));
    assert!(directory.snapshot().is_suspect(&host(1), at(now, 3_000)));
    directory.heard(now, running(2, &[actor(9)]));
    assert_eq!(directory.snapshot().actor_hosts(&actor(9)).len(), 2);
}

#[test]
fn what_others_would_refuse_is_left_out() {
    let mut beat = running(1, &[actor(8), actor(9)]);
    beat.name = "é".repeat(200);
    beat.labels = [("zone".into(), "x".repeat(1025)), ("rack".into(), "x".repeat(1024))].into();
    beat.actors.get_mut(&actor(8)).unwrap().reference = "x".repeat(3000);
    assert!(beat.check().is_err());
    assert!(beat.fit().is_err());
    assert_eq!(beat.fit(), Ok(()));
    assert_eq!((beat.name.len(), beat.labels.len(), beat.actors.len()), (256, 1, 1));
}
