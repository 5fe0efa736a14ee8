//! What a bucket promises. Each case gets one bucket, opened over two connections to one network.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use wattle_bus::{Bus, Expect, KvError, KvEvent, KvStore, KvWatch};

/// Long enough for a slow machine; every wait ends by an event, not by this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs every case.
pub(crate) async fn check_all<B: Bus>(near: &B, far: &B) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {
            $({
                let name = stringify!($case);
                let near = near.bucket(name).await.unwrap();
                let far = far.bucket(name).await.unwrap();
                tokio::time::timeout(PATIENCE * 2, $case(near, far)).await.expect(name);
            })*
        };
    }
    cases!(
        what_is_put_is_got,
        create_refuses_what_is_there,
        compare_and_set_refuses_what_was_changed,
        what_was_deleted_can_be_created_again,
        a_deletion_can_be_expected_too,
        counting_writers_lose_nothing,
        only_one_creates,
        a_watch_tells_what_is_there_then_changes_in_order,
        a_watch_of_nothing_is_caught_up_at_once,
        a_late_watch_tells_the_last_of_each_key,
        bad_keys_and_large_values_are_refused,
    );
    assert_eq!(near.bucket("a.b").await.err().map(|error| error.code()), Some("kv_key_invalid"));
    assert!(near.is_connected() && far.is_connected());
}

type Store = Arc<dyn KvStore>;

pub(crate) fn conflict(key: &str) -> KvError {
    KvError::Conflict { key: key.into() }
}

pub(crate) async fn next(watch: &mut KvWatch) -> KvEvent {
    tokio::time::timeout(PATIENCE, watch.next()).await.expect("an event").expect("an open watch")
}

/// What a follower of events knows.
#[derive(Debug, Default)]
pub(crate) struct Copy {
    pub(crate) entries: BTreeMap<String, Bytes>,
    pub(crate) revision: u64,
    pub(crate) resets: usize,
    /// Resets after which something was lost.
    pub(crate) losses: usize,
    /// Whether it caught up since the last reset.
    pub(crate) is_caught_up: bool,
}

impl Copy {
    /// Follows one event; revisions must grow between resets.
    pub(crate) fn follow(&mut self, event: KvEvent) {
        let revision = match &event {
            KvEvent::Put(entry) => entry.revision,
            KvEvent::Delete { revision, .. } => *revision,
            _ => u64::MAX,
        };
        assert!(revision > self.revision, "{event:?} after {self:?}");
        match event {
            KvEvent::Put(entry) => {
                self.entries.insert(entry.key, entry.value);
                self.revision = revision;
            }
            KvEvent::Delete { key, .. } => {
                self.entries.remove(&key);
                self.revision = revision;
            }
            KvEvent::CaughtUp => {
                assert!(!self.is_caught_up, "caught up twice");
                self.is_caught_up = true;
            }
            KvEvent::Reset { lost } => {
                let (resets, losses) = (self.resets + 1, self.losses + usize::from(lost));
                *self = Self { resets, losses, ..Self::default() };
            }
        }
    }

    /// Follows until `done` holds.
    pub(crate) async fn until(&mut self, watch: &mut KvWatch, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.follow(next(watch).await);
        }
    }
}

async fn what_is_put_is_got(near: Store, far: Store) {
    assert_eq!(near.get("k").await.unwrap(), None);
    let first = near.put("k", "one".into(), Expect::Any).await.unwrap();
    let entry = far.get("k").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.revision), ("k", &b"one"[..], first));
    let second = far.put("k", Bytes::new(), Expect::Any).await.unwrap();
    assert!(second > first && first > 0);
    assert_eq!(near.get("k").await.unwrap().unwrap().value, "");
    assert_eq!(near.get("other").await.unwrap(), None);
}

async fn create_refuses_what_is_there(near: Store, far: Store) {
    near.put("k", "near".into(), Expect::Absent).await.unwrap();
    assert_eq!(far.put("k", "far".into(), Expect::Absent).await, Err(conflict("k")));
    assert_eq!(far.get("k").await.unwrap().unwrap().value, "near");
}

async fn compare_and_set_refuses_what_was_changed(near: Store, far: Store) {
    assert_eq!(near.put("k", "x".into(), Expect::Revision(0)).await, Err(conflict("k")));
    assert_eq!(near.put("k", "x".into(), Expect::Revision(7)).await, Err(conflict("k")));
    let first = near.put("k", "1".into(), Expect::Absent).await.unwrap();
    let second = far.put("k", "2".into(), Expect::Revision(first)).await.unwrap();
    assert_eq!(near.put("k", "3".into(), Expect::Revision(first)).await, Err(conflict("k")));
    assert_eq!(near.get("k").await.unwrap().unwrap().revision, second);
}

async fn what_was_deleted_can_be_created_again(near: Store, far: Store) {
    let first = near.put("k", "1".into(), Expect::Any).await.unwrap();
    far.delete("k", Expect::Any).await.unwrap();
    assert_eq!(near.get("k").await.unwrap(), None);
    assert_eq!(near.put("k", "2".into(), Expect::Revision(first)).await, Err(conflict("k")));
    assert!(near.put("k", "3".into(), Expect::Absent).await.unwrap() > first);
    assert_eq!(far.get("k").await.unwrap().unwrap().value, "3");
    far.delete("never", Expect::Any).await.unwrap();
}

async fn a_deletion_can_be_expected_too(near: Store, far: Store) {
    let first = near.put("k", "1".into(), Expect::Any).await.unwrap();
    let second = near.put("k", "2".into(), Expect::Any).await.unwrap();
    assert_eq!(far.delete("k", Expect::Revision(first)).await, Err(conflict("k")));
    assert_eq!(far.delete("k", Expect::Absent).await, Err(conflict("k")));
    far.delete("k", Expect::Revision(second)).await.unwrap();
    far.delete("k", Expect::Absent).await.unwrap();
    assert_eq!(near.get("k").await.unwrap(), None);
}

async fn counting_writers_lose_nothing(near: Store, far: Store) {
    async fn count(store: Store) {
        let mut done = 0;
        while done < 25 {
            let entry = store.get("n").await.unwrap();
            let (value, expect) = entry.map_or((0, Expect::Absent), |entry| {
                (std::str::from_utf8(&entry.value).unwrap().parse::<u32>().unwrap(), Expect::Revision(entry.revision))
            });
            match store.put("n", (value + 1).to_string().into(), expect).await {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error, conflict("n")),
            }
        }
    }
    tokio::join!(count(Arc::clone(&near)), count(far));
    assert_eq!(near.get("n").await.unwrap().unwrap().value, "50");
}

async fn only_one_creates(near: Store, far: Store) {
    for round in 0..20 {
        let key = format!("k{round}");
        let (a, b) =
            tokio::join!(near.put(&key, "near".into(), Expect::Absent), far.put(&key, "far".into(), Expect::Absent));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    }
}

async fn a_watch_tells_what_is_there_then_changes_in_order(near: Store, far: Store) {
    for number in 0..5 {
        near.put(&format!("k{number}"), "old".into(), Expect::Any).await.unwrap();
    }
    let mut watch = far.watch().await.unwrap();
    let mut copy = Copy::default();
    copy.until(&mut watch, |copy| copy.is_caught_up).await;
    assert_eq!(copy.entries.len(), 5);
    // One at a time, so that each is told.
    let mut expected = Vec::new();
    for number in [3, 1, 9] {
        expected.push(near.put(&format!("k{number}"), "new".into(), Expect::Any).await.unwrap());
        copy.follow(next(&mut watch).await);
        assert_eq!(copy.revision, *expected.last().unwrap());
    }
    near.delete("k1", Expect::Any).await.unwrap();
    assert!(
        matches!(next(&mut watch).await, KvEvent::Delete { key, revision } if key == "k1" && revision > copy.revision)
    );
    assert_eq!(copy.resets, 0);
}

async fn a_watch_of_nothing_is_caught_up_at_once(near: Store, far: Store) {
    let mut watch = far.watch().await.unwrap();
    assert_eq!(next(&mut watch).await, KvEvent::CaughtUp);
    let revision = near.put("k", "v".into(), Expect::Absent).await.unwrap();
    assert!(matches!(next(&mut watch).await, KvEvent::Put(entry) if entry.revision == revision && entry.value == "v"));
}

async fn a_late_watch_tells_the_last_of_each_key(near: Store, far: Store) {
    for number in 0..200 {
        near.put(&format!("k{}", number % 50), number.to_string().into(), Expect::Any).await.unwrap();
    }
    near.delete("k7", Expect::Any).await.unwrap();
    let mut watch = far.watch().await.unwrap();
    let mut copy = Copy::default();
    copy.until(&mut watch, |copy| copy.is_caught_up).await;
    let expected: BTreeMap<_, _> = (150..200)
        .filter(|number| *number != 157)
        .map(|number: u32| (format!("k{}", number % 50), Bytes::from(number.to_string())))
        .collect();
    assert_eq!(copy.entries, expected);
}

async fn bad_keys_and_large_values_are_refused(near: Store, _: Store) {
    for bad in ["", "a b", "a*", ">", ".a", "a..b"] {
        assert_eq!(near.get(bad).await.unwrap_err().code(), "kv_key_invalid", "{bad:?}");
        assert_eq!(near.put(bad, Bytes::new(), Expect::Any).await.unwrap_err().code(), "kv_key_invalid", "{bad:?}");
        assert_eq!(near.delete(bad, Expect::Any).await.unwrap_err().code(), "kv_key_invalid", "{bad:?}");
    }
    let large = vec![0; 8 * 1024 * 1024 + 1];
    assert_eq!(near.put("large", large.into(), Expect::Any).await.unwrap_err().code(), "payload_too_large");
    let fits = vec![7; 1024 * 1024];
    near.put("fits", fits.clone().into(), Expect::Any).await.unwrap();
    assert_eq!(near.get("fits").await.unwrap().unwrap().value, fits);
}
