//! What a bus promises. Each case gets two connections to one network and a subject prefix of its own.

use std::{
    collections::BTreeSet,
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use wattle_bus::{Bus, BusError, Message, Subscription};

/// Long enough for a slow machine; every wait ends by a message, not by this.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every case.
pub(crate) async fn check_all<B: Bus, F: Future<Output = [B; 2]>>(connect: impl Fn() -> F) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {
            $({
                let [near, far] = connect().await;
                tokio::time::timeout(PATIENCE * 3, $case(&near, &far)).await.expect(stringify!($case));
                near.drain().await;
                far.drain().await;
            })*
        };
    }
    cases!(
        a_subscription_gets_what_is_published_after_it,
        order_is_kept,
        headers_and_reply_travel,
        wildcards_match_tokens,
        a_queue_group_shares_and_others_get_all,
        a_queue_group_spans_patterns,
        a_request_is_answered,
        a_request_nobody_hears_fails_at_once,
        a_request_nobody_answers_times_out,
        a_stream_of_answers_arrives,
        a_publish_nobody_hears_says_so_to_its_reply,
        a_dropped_subscription_is_gone,
        bad_subjects_and_headers_are_refused,
        a_message_too_large_is_refused,
        inboxes_are_unique,
        drain_delivers_what_arrived_and_ends,
    );
}

async fn next(subscription: &mut Subscription) -> Message {
    tokio::time::timeout(PATIENCE, subscription.next()).await.expect("a message").expect("an open subscription")
}

async fn texts(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(String::from_utf8(next(subscription).await.payload.to_vec()).unwrap());
    }
    texts
}

async fn send(bus: &impl Bus, subject: &str, text: &str) {
    bus.publish(subject, None, &[], Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
}

async fn a_subscription_gets_what_is_published_after_it(near: &impl Bus, far: &impl Bus) {
    // Whoever subscribed must hear a stranger at once, without any pause: often enough to catch a race.
    for round in 0..50 {
        let subject = format!("after.{round}");
        let mut subscription = near.subscribe(&subject, None).await.unwrap();
        send(far, &subject, "x").await;
        assert_eq!(next(&mut subscription).await.subject, subject);
    }
}

async fn order_is_kept(near: &impl Bus, far: &impl Bus) {
    let mut subscription = near.subscribe("order", None).await.unwrap();
    for number in 0..200 {
        send(far, "order", &number.to_string()).await;
    }
    let expected: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    assert_eq!(texts(&mut subscription, 200).await, expected);
}

async fn headers_and_reply_travel(near: &impl Bus, far: &impl Bus) {
    let mut subscription = near.subscribe("headers", None).await.unwrap();
    let headers = [("b", "2"), ("A", "1"), ("b", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    far.publish("headers", Some("answers.here"), &headers, Bytes::new()).await.unwrap();
    let message = next(&mut subscription).await;
    assert_eq!(message.reply.as_deref(), Some("answers.here"));
    let sorted = [("A", "1"), ("b", "2"), ("b", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(message.headers, sorted);
}

async fn wildcards_match_tokens(near: &impl Bus, far: &impl Bus) {
    let mut one = near.subscribe("wild.*.end", None).await.unwrap();
    let mut rest = near.subscribe("wild.>", None).await.unwrap();
    for subject in ["wild", "wild.a", "wild.a.end", "wild.a.b.end", "wilder.a.end"] {
        send(far, subject, subject).await;
    }
    send(far, "wild.z.end", "last").await;
    assert_eq!(texts(&mut one, 2).await, ["wild.a.end", "last"]);
    assert_eq!(texts(&mut rest, 4).await, ["wild.a", "wild.a.end", "wild.a.b.end", "last"]);
}

async fn a_queue_group_shares_and_others_get_all(near: &impl Bus, far: &impl Bus) {
    let mut first = near.subscribe("queue", Some("workers")).await.unwrap();
    let mut second = near.subscribe("queue", Some("workers")).await.unwrap();
    let mut all = near.subscribe("queue", None).await.unwrap();
    for number in 0..100 {
        send(far, "queue", &number.to_string()).await;
    }
    assert_eq!(texts(&mut all, 100).await.len(), 100);
    let mut seen = BTreeSet::new();
    let mut counts = [0, 0];
    for _ in 0..100 {
        let (member, message) = tokio::select! {
            message = next(&mut first) => (0, message),
            message = next(&mut second) => (1, message),
        };
        counts[member] += 1;
        assert!(seen.insert(message.payload), "twice");
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

async fn a_queue_group_spans_patterns(near: &impl Bus, far: &impl Bus) {
    let mut exact = near.subscribe("span.a", Some("workers")).await.unwrap();
    let mut wide = near.subscribe("span.*", Some("workers")).await.unwrap();
    let mut all = near.subscribe("span.a", None).await.unwrap();
    for _ in 0..20 {
        send(far, "span.a", "x").await;
    }
    texts(&mut all, 20).await;
    let mut count = 0;
    while count < 20 {
        tokio::select! {
            _ = next(&mut exact) => count += 1,
            _ = next(&mut wide) => count += 1,
        }
    }
    // A second copy of anything would have to be delivered before this marker.
    send(far, "span.b", "marker").await;
    assert_eq!(texts(&mut wide, 1).await, ["marker"]);
}

async fn a_request_is_answered(near: &impl Bus, far: &impl Bus) {
    let mut subscription = far.subscribe("ask", None).await.unwrap();
    let headers = [("k".to_owned(), "v".to_owned())];
    let asking = near.request("ask", &headers, Bytes::from_static(b"ping"), PATIENCE);
    let answering = async {
        let message = next(&mut subscription).await;
        assert_eq!((&message.payload[..], &message.headers[..]), (&b"ping"[..], &headers[..]));
        far.publish(&message.reply.unwrap(), None, &[], Bytes::from_static(b"pong")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.unwrap().payload, "pong");
}

async fn a_request_nobody_hears_fails_at_once(near: &impl Bus, _: &impl Bus) {
    let started = Instant::now();
    let error = near.request("nobody.here", &[], Bytes::new(), PATIENCE).await.unwrap_err();
    assert_eq!(error, BusError::NoResponders { subject: "nobody.here".into() });
    assert!(started.elapsed() < PATIENCE / 2);
}

async fn a_request_nobody_answers_times_out(near: &impl Bus, far: &impl Bus) {
    let _silent = far.subscribe("silent", None).await.unwrap();
    let timeout = Duration::from_millis(50);
    let error = near.request("silent", &[], Bytes::new(), timeout).await.unwrap_err();
    assert_eq!(error, BusError::TimedOut { subject: "silent".into(), waited: timeout });
}

async fn a_stream_of_answers_arrives(near: &impl Bus, far: &impl Bus) {
    let mut requests = far.subscribe("stream", None).await.unwrap();
    let inbox = near.new_inbox();
    let mut answers = near.subscribe(&inbox, None).await.unwrap();
    near.publish("stream", Some(&inbox), &[], Bytes::new()).await.unwrap();
    let reply = next(&mut requests).await.reply.unwrap();
    for text in ["1", "2", "3"] {
        send(far, &reply, text).await;
    }
    assert_eq!(texts(&mut answers, 3).await, ["1", "2", "3"]);
}

async fn a_publish_nobody_hears_says_so_to_its_reply(near: &impl Bus, _: &impl Bus) {
    let inbox = near.new_inbox();
    let mut answers = near.subscribe(&inbox, None).await.unwrap();
    near.publish("nobody.there", Some(&inbox), &[], Bytes::new()).await.unwrap();
    assert!(next(&mut answers).await.is_no_responders());
}

async fn a_dropped_subscription_is_gone(near: &impl Bus, _: &impl Bus) {
    drop(near.subscribe("gone", None).await.unwrap());
    let error = near.request("gone", &[], Bytes::new(), PATIENCE).await.unwrap_err();
    assert_eq!(error.code(), "no_responders");
}

async fn bad_subjects_and_headers_are_refused(near: &impl Bus, _: &impl Bus) {
    for bad in ["", "a b", "a..b", "a.*", "a.>", "a\r\nPUB b 0"] {
        let published = near.publish(bad, None, &[], Bytes::new()).await;
        assert_eq!(published.unwrap_err().code(), "subject_invalid", "{bad:?}");
        let requested = near.request(bad, &[], Bytes::new(), PATIENCE).await;
        assert_eq!(requested.unwrap_err().code(), "subject_invalid", "{bad:?}");
    }
    assert_eq!(near.subscribe(">.a", None).await.unwrap_err().code(), "subject_invalid");
    assert_eq!(near.subscribe("a", Some("two words")).await.unwrap_err().code(), "subject_invalid");
    for (name, value) in [("", "v"), ("a:b", "v"), ("a", "v\r\nb: c")] {
        let published = near.publish("a", None, &[(name.into(), value.into())], Bytes::new()).await;
        assert_eq!(published.unwrap_err().code(), "header_invalid", "{name:?} {value:?}");
    }
}

async fn a_message_too_large_is_refused(near: &impl Bus, far: &impl Bus) {
    const LEN_MAX: usize = 8 * 1024 * 1024;
    let mut subscription = far.subscribe("large", None).await.unwrap();
    let error = near.publish("large", None, &[], vec![0; LEN_MAX + 1].into()).await.unwrap_err();
    assert_eq!(error, BusError::TooLarge { size: LEN_MAX + 1, limit: LEN_MAX });
    near.publish("large", None, &[], vec![0; LEN_MAX].into()).await.unwrap();
    assert_eq!(next(&mut subscription).await.payload.len(), LEN_MAX);
}

async fn inboxes_are_unique(near: &impl Bus, far: &impl Bus) {
    let inboxes: BTreeSet<_> = (0..100).flat_map(|_| [near.new_inbox(), far.new_inbox()]).collect();
    assert_eq!(inboxes.len(), 200);
}

async fn drain_delivers_what_arrived_and_ends(near: &impl Bus, far: &impl Bus) {
    let mut subscription = near.subscribe("drain", None).await.unwrap();
    let mut marker = near.subscribe("drain", None).await.unwrap();
    send(far, "drain", "before").await;
    next(&mut marker).await;
    near.drain().await;
    assert_eq!(texts(&mut subscription, 1).await, ["before"]);
    assert_eq!(tokio::time::timeout(PATIENCE, subscription.next()).await.expect("the end"), None);
    assert_eq!(near.publish("drain", None, &[], Bytes::new()).await.unwrap_err().code(), "bus_disconnected");
    assert!(near.subscribe("drain", None).await.is_err());
    // The other connection goes on.
    assert_eq!(far.request("drain", &[], Bytes::new(), PATIENCE).await.unwrap_err().code(), "no_responders");
}
