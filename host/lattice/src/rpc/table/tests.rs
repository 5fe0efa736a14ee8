use wattle_types::wascap::{KeyKind, PublicKey};

use super::*;

fn host(seed: u8) -> HostId {
    PublicKey::from_bytes(KeyKind::Host, [seed; 32]).try_into().unwrap()
}

fn keys() -> Keys {
    Keys::derive(&[0; 32], &[0; 32]).unwrap()
}

fn ids(table: &Table) -> Vec<u64> {
    let mut ids: Vec<_> = table.sessions.keys().copied().collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(start_paused = true)]
async fn the_session_unused_for_longest_goes_when_there_are_too_many() {
    let mut table = Table::new(Limits { sessions_max: 3, ..Limits::default() });
    let now = Instant::now();
    for (seed, id) in [(1, 11), (2, 12), (3, 13)] {
        table.insert(id, host(seed), keys(), now);
    }
    let later = now + Duration::from_secs(5);
    for id in [11, 13] {
        assert!(table.find(id, 1, later).unwrap().take(1, later));
    }
    table.insert(14, host(4), keys(), later);
    assert_eq!(ids(&table), [11, 13, 14]);
    assert!(!table.guests.contains_key(&host(2)));
}

#[tokio::test(start_paused = true)]
async fn one_host_has_four_sessions_at_most_and_one_share() {
    let mut table = Table::new(Limits::default());
    let now = Instant::now();
    for id in 1..=6 {
        table.insert(id, host(1), keys(), now);
    }
    assert_eq!(ids(&table), [3, 4, 5, 6]);
    let [one, other] = [3, 6].map(|id| table.find(id, 1, now).unwrap());
    assert!(Arc::ptr_eq(&one.guest, &other.guest));
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_some_time_after_it_should_be_renewed() {
    let mut table = Table::new(Limits::default());
    let now = Instant::now();
    table.insert(1, host(1), keys(), now);
    let end = now + SESSION_AGE_MAX + SESSION_GRACE;
    assert!(table.find(1, MESSAGES_MAX, end - Duration::from_secs(1)).is_some());
    assert!(table.find(1, MESSAGES_MAX + 1, now).is_none());
    assert!(table.find(1, 1, now).is_some());
    assert!(table.find(1, 1, end).is_none());
    assert!(table.sessions.is_empty() && table.guests.is_empty());
}

#[test]
fn a_nonce_is_remembered_for_as_long_as_it_could_pass_for_fresh() {
    let mut nonces = Nonces::default();
    nonces.take([1; 16], 1060, 1000).unwrap();
    for now in 1000..=1120 {
        assert_eq!(nonces.take([1; 16], 1060, now), Err(NoSession::Repeated), "{now}");
    }
    assert_eq!(nonces.take([1; 16], 1060, 1121), Err(NoSession::Stale));
    assert!(nonces.seen.is_empty() && nonces.order.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_throttle_lets_a_burst_through_and_then_so_many_a_second() {
    let now = Instant::now();
    let mut throttle = Throttle::new(now);
    let turns = |throttle: &mut Throttle, now| (0..10_000).filter(|_| throttle.take(now)).count();
    assert_eq!(turns(&mut throttle, now), 2000);
    assert_eq!(turns(&mut throttle, now + Duration::from_secs(1)), 1000);
    assert_eq!(turns(&mut throttle, now + Duration::from_secs(100)), 2000);
}
