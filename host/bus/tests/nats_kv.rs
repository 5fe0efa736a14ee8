//! Buckets in a real JetStream, and what they survive.

use wattle_bus::{Bus as _, Expect, KvEvent, NatsBus, NatsOptions, nats_server::NatsServer};

use crate::{
    kv::{Copy, PATIENCE, conflict, next},
    nats::connect,
    server::{start, start_plain},
};

#[tokio::test]
async fn keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    crate::kv::check_all(&connect(&server).await, &connect(&server).await).await;
    server.stop().await;
}

async fn kill(server: &NatsServer) {
    let restarts = server.restarts();
    let pid = rustix::process::Pid::from_raw(server.pid().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    tokio::time::timeout(PATIENCE, server.restarted(restarts + 1)).await.unwrap();
}

#[tokio::test]
async fn a_watch_goes_on_after_the_server_died_twice() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    let bucket = bus.bucket("b").await.unwrap();
    bucket.put("old", "1".into(), Expect::Absent).await.unwrap();
    let mut watch = bucket.watch().await.unwrap();
    let mut copy = Copy::default();
    copy.until(&mut watch, |copy| copy.is_caught_up).await;
    for round in 1..=2 {
        kill(&server).await;
        // Written by a stranger, perhaps before the watch is back.
        let stranger = connect(&server).await.bucket("b").await.unwrap();
        stranger.put("new", round.to_string().into(), Expect::Any).await.unwrap();
        let told = round.to_string();
        copy.until(&mut watch, |copy| copy.is_caught_up && copy.entries.get("new").is_some_and(|value| *value == told))
            .await;
        assert_eq!((&copy.entries["old"][..], copy.losses), (&b"1"[..], 0));
    }
    // The old handle writes again too.
    let entry = bucket.get("new").await.unwrap().unwrap();
    bucket.put("new", "end".into(), Expect::Revision(entry.revision)).await.unwrap();
    copy.until(&mut watch, |copy| copy.entries.get("new").is_some_and(|value| value == "end")).await;
    assert_eq!(copy.resets, 2);
    bus.drain().await;
    assert_eq!(tokio::time::timeout(PATIENCE, watch.next()).await.unwrap(), None);
    server.stop().await;
}

#[tokio::test]
async fn a_large_bucket_is_told_whole_to_slow_and_fast() {
    const COUNT: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    let bucket = bus.bucket("b").await.unwrap();
    let mut slow = bucket.watch().await.unwrap();
    let value = bytes::Bytes::from(vec![7; 8 * 1024]);
    for number in 0..COUNT {
        bucket.put(&format!("k{number}"), value.clone(), Expect::Absent).await.unwrap();
    }
    // JetStream sends only so much ahead: the slow one, which has heard nothing yet, misses nothing.
    let mut fast = bucket.watch().await.unwrap();
    for watch in [&mut fast, &mut slow] {
        let mut copy = Copy::default();
        copy.until(watch, |copy| copy.entries.len() == COUNT && copy.is_caught_up).await;
        assert_eq!(copy.resets, 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_lost_bucket_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    let bucket = bus.bucket("b").await.unwrap();
    bucket.put("k", "1".into(), Expect::Absent).await.unwrap();
    let mut watch = bucket.watch().await.unwrap();
    let mut copy = Copy::default();
    copy.until(&mut watch, |copy| copy.is_caught_up).await;
    bus.client().request("$JS.API.STREAM.DELETE.KV_b", "".into()).await.unwrap();
    assert_eq!(bucket.get("k").await.unwrap(), None);
    // By the watch, which hears nothing any more.
    assert_eq!(next(&mut watch).await, KvEvent::Reset { lost: true });
    assert_eq!(next(&mut watch).await, KvEvent::CaughtUp);
    bus.client().request("$JS.API.STREAM.DELETE.KV_b", "".into()).await.unwrap();
    // By a write.
    assert_eq!(bucket.put("k", "2".into(), Expect::Absent).await, Ok(1));
    server.stop().await;
}

#[tokio::test]
async fn a_bucket_is_as_others_make_it_and_others_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    let client = async_nats::jetstream::new(bus.client().clone());
    bus.bucket("ours").await.unwrap().put("k", "v".into(), Expect::Absent).await.unwrap();
    let ours = client.get_key_value("ours").await.unwrap();
    assert_eq!(ours.get("k").await.unwrap().unwrap(), "v");
    // As another client would make it, but with a history.
    let theirs =
        r#"{"name":"KV_theirs","subjects":["$KV.theirs.>"],"max_msgs_per_subject":5,"allow_rollup_hdrs":true}"#;
    bus.client().request("$JS.API.STREAM.CREATE.KV_theirs", theirs.into()).await.unwrap();
    let theirs = client.get_key_value("theirs").await.unwrap();
    let bucket = bus.bucket("theirs").await.unwrap();
    theirs.put("k", "1".into()).await.unwrap();
    theirs.put("k", "2".into()).await.unwrap();
    assert_eq!(bucket.get("k").await.unwrap().unwrap().value, "2");
    let mut watch = bucket.watch().await.unwrap();
    assert!(matches!(next(&mut watch).await, KvEvent::Put(entry) if entry.value == "2"));
    assert_eq!(next(&mut watch).await, KvEvent::CaughtUp);
    theirs.delete("k").await.unwrap();
    assert!(matches!(next(&mut watch).await, KvEvent::Delete { key, .. } if key == "k"));
    assert_eq!(bucket.get("k").await.unwrap(), None);
    bucket.put("k", "3".into(), Expect::Absent).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, url) = start_plain(folder.path(), &[]).await;
    let bus = NatsBus::connect(NatsOptions { urls: vec![url], ..NatsOptions::default() }).await.unwrap();
    let error = bus.bucket("b").await.err().unwrap();
    assert_eq!(error.code(), "kv_unavailable");
    assert!(error.to_string().contains("nats-server with -js"), "{error}");
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_purged_bucket_is_noticed_while_the_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    let bucket = bus.bucket("b").await.unwrap();
    for key in ["a", "b", "gone"] {
        bucket.put(key, "1".into(), Expect::Unwritten).await.unwrap();
    }
    bucket.delete("gone", Expect::Any).await.unwrap();
    assert_eq!(bucket.put("gone", "1".into(), Expect::Unwritten).await, Err(conflict("gone")));
    let mut watch = bucket.watch().await.unwrap();
    let mut copy = Copy::default();
    copy.until(&mut watch, |copy| copy.is_caught_up).await;
    for purge in ["", r#"{"filter":"$KV.b.a"}"#] {
        bus.client().request("$JS.API.STREAM.PURGE.KV_b", purge.into()).await.unwrap();
        assert_eq!(bucket.last("a").await.unwrap(), None);
        // Writes that go on, as a leader's do, hide nothing.
        bucket.put("b", "2".into(), Expect::Any).await.unwrap();
        let losses = copy.losses;
        copy.until(&mut watch, |copy| copy.losses > losses && copy.is_caught_up).await;
        assert_eq!(copy.entries.keys().collect::<Vec<_>>(), ["b"]);
        bucket.put("a", "1".into(), Expect::Unwritten).await.unwrap();
        copy.until(&mut watch, |copy| copy.entries.len() == 2).await;
    }
    server.stop().await;
}
