//! The in-process bus.

use bytes::Bytes;
use wattle_bus::{Bus as _, KvEvent, MemoryBus};

#[tokio::test]
async fn keeps_every_promise() {
    crate::conformance::check_all(|| async {
        let near = MemoryBus::new();
        let far = near.connect();
        [near, far]
    })
    .await;
}

#[tokio::test]
async fn queue_members_take_turns() {
    let bus = MemoryBus::new();
    let mut members = [bus.subscribe("q", Some("g")).await.unwrap(), bus.subscribe("q", Some("g")).await.unwrap()];
    for text in ["0", "1", "2", "3"] {
        bus.publish("q", None, &[], text.into()).await.unwrap();
    }
    for (index, member) in members.iter_mut().enumerate() {
        assert_eq!(member.next().await.unwrap().payload, index.to_string());
        assert_eq!(member.next().await.unwrap().payload, (index + 2).to_string());
    }
}

#[tokio::test]
async fn a_slow_subscription_loses_messages_and_slows_nobody() {
    let bus = MemoryBus::new();
    let mut slow = bus.subscribe("s", None).await.unwrap();
    for _ in 0..5000 {
        bus.publish("s", None, &[], Bytes::new()).await.unwrap();
    }
    bus.drain().await;
    let mut count = 0;
    while slow.next().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 4096);
}

#[tokio::test]
async fn buckets_keep_every_promise() {
    let near = MemoryBus::new();
    let far = near.connect();
    crate::kv::check_all(&near, &far).await;
    let mut watch = near.bucket("b").await.unwrap().watch().await.unwrap();
    assert_eq!(watch.next().await, Some(KvEvent::CaughtUp));
    near.drain().await;
    assert_eq!(watch.next().await, None);
    assert_eq!(near.bucket("b").await.err().map(|error| error.code()), Some("kv_unavailable"));
    assert!(!near.is_connected() && far.is_connected());
}
