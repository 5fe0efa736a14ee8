use super::*;

fn delivery(number: u64, pending: u64) -> Message {
    Message {
        subject: "$KV.b.k".into(),
        reply: Some(format!("$JS.ACK.KV_b.c.1.{}.{number}.1700000000.{pending}", number + 10)),
        payload: Bytes::from_static(b"v"),
        headers: Vec::new(),
    }
}

fn status(headers: &[(&str, &str)], reply: Option<&str>) -> Message {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Message { subject: "inbox".into(), reply: reply.map(Into::into), payload: Bytes::new(), headers }
}

fn put(revision: u64) -> KvEvent {
    KvEvent::Put(KvEntry { key: "k".into(), value: "v".into(), revision })
}

fn feed() -> Feed {
    Feed { last: 0, is_caught_up: false }
}

#[test]
fn deliveries_are_told_once_and_gaps_noticed() {
    let mut feed = feed();
    assert_eq!(feed.step(delivery(1, 1), "$KV.b."), Step::Tell(vec![put(11)]));
    assert_eq!(feed.step(delivery(1, 1), "$KV.b."), Step::Nothing);
    assert_eq!(feed.step(delivery(2, 0), "$KV.b."), Step::Tell(vec![put(12), KvEvent::CaughtUp]));
    assert_eq!(feed.step(delivery(3, 0), "$KV.b."), Step::Tell(vec![put(13)]));
    assert_eq!(feed.step(delivery(5, 0), "$KV.b."), Step::Broken);
}

#[test]
fn a_deletion_is_told_as_one() {
    let deleted = KvEvent::Delete { key: "k".into(), revision: 11 };
    for (name, value) in [("KV-Operation", "PURGE"), ("KV-Operation", "DEL"), ("Nats-Marker-Reason", "MaxAge")] {
        let message = Message { headers: vec![(name.into(), value.into())], ..delivery(1, 1) };
        assert_eq!(feed().step(message, "$KV.b."), Step::Tell(vec![deleted.clone()]));
    }
}

#[test]
fn a_heartbeat_tells_of_losses_and_of_the_end() {
    let heartbeat = |last| status(&[("Status", "100"), ("Nats-Last-Consumer", last)], None);
    assert_eq!(feed().step(heartbeat("0"), "$KV.b."), Step::Tell(vec![KvEvent::CaughtUp]));
    assert_eq!(feed().step(heartbeat("1"), "$KV.b."), Step::Broken);
    let mut feed = feed();
    feed.step(delivery(1, 0), "$KV.b.");
    assert_eq!(feed.step(heartbeat("1"), "$KV.b."), Step::Nothing);
    assert_eq!(feed.step(status(&[("Status", "409")], None), "$KV.b."), Step::Broken);
}

#[test]
fn flow_control_is_answered() {
    let asked = status(&[("Status", "100")], Some("$JS.FC.x"));
    assert_eq!(feed().step(asked, "$KV.b."), Step::Answer("$JS.FC.x".into()));
    let stalled = status(&[("Status", "100"), ("Nats-Consumer-Stalled", "$JS.FC.y")], None);
    assert_eq!(feed().step(stalled, "$KV.b."), Step::Answer("$JS.FC.y".into()));
}

#[test]
fn what_is_no_delivery_is_left_out() {
    for reply in ["", "$JS.ACK.KV_b.c.1.x.1.1.0", "$JS.ACK.1"] {
        let message = Message { reply: Some(reply.into()), ..delivery(1, 0) };
        assert_eq!(feed().step(message, "$KV.b."), Step::Nothing, "{reply}");
    }
    let long = Delivery::parse("$JS.ACK.hub.hash.KV_b.c.1.20.3.1700000000.4.random").unwrap();
    assert_eq!(long, Delivery { revision: 20, number: 3, pending: 4 });
}
