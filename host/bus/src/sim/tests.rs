use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::{Bus as _, Expect, KvError, KvEvent, KvStore, Subscription};

const TIMEOUT: Duration = Duration::from_secs(1);

async fn send(bus: &SimBus, text: &'static str) {
    bus.publish("s", None, &[], text.into()).await.unwrap();
}

/// Returns all that arrives within 100 s.
async fn heard(subscription: &mut Subscription) -> Vec<Bytes> {
    let mut heard = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(100), subscription.next()).await {
        heard.push(message.payload);
    }
    heard
}

fn bad() -> Faults {
    let delay = Duration::from_millis(1)..=Duration::from_millis(50);
    Faults { delay, loss: 100, duplication: 100, reorder: true, buffer: 64 }
}

/// Has two hosts talk over a bad network and returns the log's hash.
async fn chatter(seed: u64) -> String {
    let net = SimNet::new(seed);
    let [near, far] = ["near", "far"].map(|name| net.connect(name));
    let mut subscription = far.subscribe("s", Some("q")).await.unwrap();
    let mut other = near.subscribe("s", Some("q")).await.unwrap();
    let bucket = near.bucket("b").await.unwrap();
    near.set_faults(bad());
    far.set_faults(bad());
    for _ in 0..50 {
        send(&near, "x").await;
        let _unknown = bucket.put("k", "v".into(), Expect::Any).await;
    }
    assert!(!heard(&mut subscription).await.is_empty() && !heard(&mut other).await.is_empty());
    net.log_hash()
}

#[tokio::test(start_paused = true)]
async fn a_seed_decides_everything() {
    let hashes = [chatter(1).await, chatter(1).await, chatter(2).await];
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}

#[tokio::test(start_paused = true)]
async fn messages_are_lost_doubled_and_overtaken() {
    let net = SimNet::new(7);
    let [near, far] = ["near", "far"].map(|name| net.connect(name));
    let mut subscription = far.subscribe("s", None).await.unwrap();
    let texts: Vec<Bytes> = (0..200).map(|number: u32| number.to_string().into()).collect();
    let cases = [
        Faults { loss: 300, ..Faults::default() },
        Faults { duplication: 300, ..Faults::default() },
        Faults { reorder: true, delay: Duration::ZERO..=Duration::from_secs(1), ..Faults::default() },
    ];
    let mut all = Vec::new();
    for faults in cases {
        near.set_faults(faults);
        for text in &texts {
            near.publish("s", None, &[], text.clone()).await.unwrap();
        }
        all.push(heard(&mut subscription).await);
    }
    assert!((100..180).contains(&all[0].len()), "{}", all[0].len());
    assert!((220..300).contains(&all[1].len()), "{}", all[1].len());
    assert!(all[1].is_sorted_by_key(|text| std::str::from_utf8(text).unwrap().parse::<u32>().unwrap()));
    assert_eq!(all[2].len(), 200);
    assert_ne!(all[2], texts);
    assert!(net.log_text().lines().count() > 600);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_learns_it_late() {
    let net = SimNet::new(1);
    let [near, far] = ["near", "far"].map(|name| net.connect(name));
    let mut subscription = far.subscribe("s", None).await.unwrap();
    near.cut(Cut::Up);
    send(&near, "lost").await;
    assert_eq!(near.request("s", &[], Bytes::new(), TIMEOUT).await.unwrap_err().code(), "bus_timed_out");
    assert!(near.is_connected());
    tokio::time::sleep(TIMEOUT).await;
    assert!(!near.is_connected());
    assert_eq!(near.publish("s", None, &[], Bytes::new()).await.unwrap_err().code(), "bus_disconnected");
    near.cut(Cut::None);
    send(&near, "there").await;
    assert_eq!(heard(&mut subscription).await, ["there"]);
    // The other way nobody learns anything.
    far.cut(Cut::Down);
    send(&near, "lost").await;
    tokio::time::sleep(TIMEOUT * 10).await;
    assert!(far.is_connected());
    assert_eq!(near.request("s", &[], Bytes::new(), TIMEOUT).await.unwrap_err().code(), "bus_timed_out");
    // Upwards the broker does, and then says that nobody listens.
    far.cut(Cut::Both);
    tokio::time::sleep(DETECTION).await;
    assert_eq!(near.request("s", &[], Bytes::new(), TIMEOUT).await.unwrap_err().code(), "no_responders");
    far.cut(Cut::None);
    send(&near, "again").await;
    assert_eq!(heard(&mut subscription).await, ["again"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_everything_of_one_connection() {
    let net = SimNet::new(1);
    let [near, far] = ["near", "far"].map(|name| net.connect(name));
    let mut subscription = far.subscribe("s", None).await.unwrap();
    let mut watch = far.bucket("b").await.unwrap().watch().await.unwrap();
    assert_eq!(watch.next().await, Some(KvEvent::CaughtUp));
    let _silent = near.subscribe("silent", None).await.unwrap();
    let asking = far.request("silent", &[], Bytes::new(), TIMEOUT * 60);
    let crashing = async {
        tokio::time::sleep(TIMEOUT).await;
        far.crash();
    };
    let (asked, ()) = tokio::join!(asking, crashing);
    assert_eq!(asked.unwrap_err().code(), "bus_disconnected");
    assert_eq!((subscription.next().await, watch.next().await), (None, None));
    tokio::time::sleep(TIMEOUT).await;
    assert_eq!(near.request("s", &[], Bytes::new(), TIMEOUT).await.unwrap_err().code(), "no_responders");
    let far = net.connect("far");
    let mut subscription = far.subscribe("s", None).await.unwrap();
    send(&near, "again").await;
    assert_eq!(heard(&mut subscription).await, ["again"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscription_loses_what_it_cannot_hold() {
    let net = SimNet::new(1);
    let bus = net.connect("slow");
    bus.set_faults(Faults { buffer: 3, ..Faults::default() });
    let mut subscription = bus.subscribe("s", None).await.unwrap();
    for _ in 0..10 {
        send(&bus, "x").await;
    }
    tokio::time::sleep(TIMEOUT).await;
    assert_eq!(heard(&mut subscription).await.len(), 3);
}

/// Counts up `count` times by compare-and-set and returns how many increments may have happened besides.
async fn increment(bucket: &dyn KvStore, count: u32) -> u32 {
    let (mut done, mut unknown) = (0, 0);
    while done < count {
        let Ok(entry) = bucket.get("n").await else { continue };
        let (value, expect) = entry.map_or((0, Expect::Absent), |entry| {
            (std::str::from_utf8(&entry.value).unwrap().parse::<u32>().unwrap(), Expect::Revision(entry.revision))
        });
        match bucket.put("n", (value + 1).to_string().into(), expect).await {
            Ok(_) => done += 1,
            Err(KvError::Conflict { .. }) => {}
            Err(error) => {
                assert_eq!(error.code(), "kv_timed_out");
                unknown += 1;
            }
        }
    }
    unknown
}

#[tokio::test(start_paused = true)]
async fn compare_and_set_loses_nothing_whatever_the_network_does() {
    for seed in 0..20 {
        let net = SimNet::new(seed);
        let [near, far] = ["near", "far"].map(|name| net.connect(name));
        let (sure, unsure) = (near.bucket("b").await.unwrap(), far.bucket("b").await.unwrap());
        near.set_faults(Faults { loss: 0, ..bad() });
        far.set_faults(Faults { loss: if seed % 2 == 0 { 0 } else { 100 }, ..bad() });
        let (surely, perhaps) = tokio::join!(increment(&*sure, 20), increment(&*unsure, 20));
        assert_eq!(surely, 0);
        let value = sure.get("n").await.unwrap().unwrap().value;
        let value: u32 = std::str::from_utf8(&value).unwrap().parse().unwrap();
        assert!((40..=40 + perhaps).contains(&value), "seed {seed}: {value}, {perhaps} unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_heals_after_cuts_restarts_and_a_lost_bucket() {
    let net = SimNet::new(3);
    let [near, far] = ["near", "far"].map(|name| net.connect(name));
    let bucket = near.bucket("b").await.unwrap();
    bucket.put("old", "1".into(), Expect::Any).await.unwrap();
    let mut watch = far.bucket("b").await.unwrap().watch().await.unwrap();
    let mut revision = 0;
    for (round, seconds) in [1, 3, 30].into_iter().enumerate() {
        for cut in [Cut::Up, Cut::Down, Cut::Both] {
            far.cut(cut);
            revision = bucket.put("new", round.to_string().into(), Expect::Any).await.unwrap();
            tokio::time::sleep(TIMEOUT * seconds).await;
            far.cut(Cut::None);
            reached(&mut watch, revision).await;
        }
    }
    net.restart_broker();
    reached(&mut watch, revision).await;
    net.lose_bucket("b");
    while watch.next().await != Some(KvEvent::Reset { lost: true }) {}
    assert_eq!(watch.next().await, Some(KvEvent::CaughtUp));
    assert_eq!(bucket.put("k", "v".into(), Expect::Absent).await, Ok(1));
    reached(&mut watch, 1).await;
}

/// Follows a watch for a while; returns how often it told of a loss.
async fn losses(watch: &mut crate::KvWatch, how_long: Duration) -> usize {
    let mut count = 0;
    let following = async {
        loop {
            count += usize::from(watch.next().await == Some(KvEvent::Reset { lost: true }));
        }
    };
    let _over = tokio::time::timeout(how_long, following).await;
    count
}

async fn put_all(bucket: &dyn KvStore) {
    for key in ["a", "b", "c"] {
        bucket.put(key, "1".into(), Expect::Unwritten).await.unwrap();
    }
    bucket.delete("c", Expect::Any).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_notices_that_its_bucket_was_purged() {
    let (net, second) = (SimNet::new(3), Duration::from_secs(1));
    let bus = net.connect("one");
    let bucket = bus.bucket("b").await.unwrap();
    let mut watch = bucket.watch().await.unwrap();
    put_all(&*bucket).await;
    assert_eq!(losses(&mut watch, second * 30).await, 0);
    net.purge_bucket("b");
    assert_eq!(losses(&mut watch, second * 6).await, 1);
    // Others write on, and whoever finds less than it knew need not wait.
    put_all(&*bucket).await;
    assert_eq!(losses(&mut watch, second * 6).await, 0);
    net.purge_bucket("b");
    bucket.put("d", "1".into(), Expect::Any).await.unwrap();
    bucket.doubt();
    assert_eq!(losses(&mut watch, second).await, 1);
    // While nobody looked.
    put_all(&*bucket).await;
    assert_eq!(losses(&mut watch, second * 6).await, 0);
    net.purge_bucket("b");
    net.restart_broker();
    assert_eq!(losses(&mut watch, second * 6).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_up_right_whatever_happened() {
    for seed in 0..30 {
        let net = SimNet::new(seed);
        let [near, far] = ["near", "far"].map(|name| net.connect(name));
        let bucket = near.bucket("b").await.unwrap();
        let watched = far.bucket("b").await.unwrap();
        let mut watch = watched.watch().await.unwrap();
        far.set_faults(bad());
        let writing = async {
            for number in 0..60_u64 {
                let key = format!("k{}", number * (seed + 1) % 31);
                match number % 5 {
                    4 => bucket.delete(&key, Expect::Any).await.unwrap(),
                    _ => drop(bucket.put(&key, number.to_string().into(), Expect::Any).await.unwrap()),
                }
                match number % 20 {
                    5 => far.cut(if seed % 2 == 0 { Cut::Down } else { Cut::Both }),
                    9 => far.cut(Cut::None),
                    15 if seed % 3 == 0 => net.restart_broker(),
                    _ => {}
                }
                tokio::time::sleep(Duration::from_millis(100 * (seed % 11))).await;
            }
            far.set_faults(Faults::default());
            // Silence is noticed, and an attempt that came too early is given up.
            tokio::time::sleep(Duration::from_secs(60)).await;
        };
        let mut known = BTreeMap::new();
        let following = async {
            loop {
                match watch.next().await.unwrap() {
                    KvEvent::Put(entry) => drop(known.insert(entry.key, entry.value)),
                    KvEvent::Delete { key, .. } => drop(known.remove(&key)),
                    KvEvent::CaughtUp => {}
                    KvEvent::Reset { lost } => {
                        assert!(!lost, "seed {seed}");
                        known.clear();
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = following => {}
            () = writing => {}
        }
        for key in (0..31).map(|number| format!("k{number}")) {
            let stored = bucket.get(&key).await.unwrap().map(|entry| entry.value);
            assert_eq!(known.get(&key), stored.as_ref(), "seed {seed}, {key}\n{}", net.log_text());
        }
    }
}

/// Waits until a watch told of a revision, for as long as healing may take.
async fn reached(watch: &mut crate::KvWatch, revision: u64) {
    let told =
        async { while !matches!(watch.next().await.unwrap(), KvEvent::Put(entry) if entry.revision == revision) {} };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("healed");
}

#[tokio::test(start_paused = true)]
async fn the_scheduler_ends_with_the_network() {
    let net = SimNet::new(1);
    let inner = Arc::downgrade(&net.inner);
    let wake = Arc::downgrade(&net.inner.wake);
    let bus = net.connect("a");
    drop(net);
    assert_eq!(bus.request("s", &[], Bytes::new(), TIMEOUT).await.unwrap_err().code(), "no_responders");
    drop(bus);
    tokio::task::yield_now().await;
    assert!(inner.upgrade().is_none() && wake.upgrade().is_none());
}
