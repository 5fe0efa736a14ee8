//! What is forged, changed, or sent again changes nothing.

use super::{
    frame::{Head, Kind},
    handshake::{NoSession, Proven, gone, read_gone},
    raw::{RawPeer, send},
    *,
};

#[tokio::test(start_paused = true)]
async fn a_message_is_taken_once_and_in_any_order() {
    let bus = MemoryBus::new();
    let (_one, _two, server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    for counter in [5, 3, 4, 1, 8000, 2] {
        let frame = raw.call(counter, &call_of("a"));
        assert_eq!(raw.ask(frame.clone()).await.unwrap().0, Kind::Answer, "{counter}");
        assert_eq!(raw.ask(frame).await, None, "{counter}");
    }
    assert_eq!(server.begun(), 6);
    // Too far behind to tell, and never valid.
    assert!(raw.ask(raw.call(20_000, &call_of("a"))).await.is_some());
    for counter in [0, 6, 8001] {
        assert_eq!(raw.ask(raw.call(counter, &call_of("a"))).await, None, "{counter}");
    }
    assert_eq!(server.begun(), 7);
}

/// More than all the waiting for answers that do not come.
const SECONDS_OF_ALL: u64 = 3000;

#[tokio::test(start_paused = true)]
async fn a_changed_message_changes_nothing() {
    let bus = MemoryBus::new();
    let (_one, _two, server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let payload = fields::Attached::Here("payload".into());
    let frame = raw
        .frame(Kind::Call, 9, |out| fields::write_call(out, &call_of(""), raw.time(SECONDS_OF_ALL * 1000), &payload));
    for at in 0..frame.len() {
        for bit in [0x01, 0x80] {
            let mut changed = frame.to_vec();
            changed[at] ^= bit;
            // A changed version, kind or session may be answered, but never as a call that is proven.
            if let Some(answer) = send(&raw.bus, "test", changed.into()).await {
                let kind = Head::read(&answer).unwrap().kind;
                assert!(matches!(kind, Kind::Declined | Kind::Gone), "{at} {kind:?}");
                assert!(kind != Kind::Gone || read_gone(&identity(1), &host(2), &frame, &answer).is_none(), "{at}");
            }
        }
    }
    for len in 0..frame.len() {
        assert!(send(&raw.bus, "test", frame.slice(..len)).await.is_none(), "{len}");
    }
    assert_eq!(server.begun(), 0);
    assert_eq!(raw.ask(frame).await.unwrap().0, Kind::Answer);
    assert_eq!(server.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_counter_does_not_end_a_session() {
    let bus = MemoryBus::new();
    let (_one, _two, _server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let mut forged = raw.call(1, &call_of("a")).to_vec();
    forged[11] = 0xFF;
    send(&raw.bus, "test", forged.into()).await.unwrap();
    assert_eq!(raw.ask(raw.call(1, &call_of("a"))).await.unwrap().0, Kind::Answer);
}

#[tokio::test(start_paused = true)]
async fn answers_of_another_direction_or_kind_are_no_requests() {
    let bus = MemoryBus::new();
    let (_one, _two, server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let call = raw.call(1, &call_of("a"));
    let resealed = raw.keys.reply.seal(bytes::BytesMut::from(&call[..call.len() - keys::TAG_LEN]));
    assert_eq!(raw.ask(resealed).await, None);
    for kind in [Kind::Answer, Kind::Held, Kind::Refused, Kind::Part, Kind::Stored, Kind::Gone, Kind::Welcome] {
        assert_eq!(raw.ask(raw.frame(kind, 2, |_| {})).await, None, "{kind:?}");
    }
    assert_eq!(server.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn proven_nonsense_is_refused_before_it_runs() {
    let bus = MemoryBus::new();
    let (_one, two, server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let not_run = |code: &str| (code.to_owned(), false);
    assert_eq!(raw.refused(raw.frame(Kind::Call, 1, |_| {})).await, not_run("request_invalid"));
    let mut deep = call_of("a");
    deep.context.depth = wattle_types::MAX_CALL_DEPTH + 1;
    assert_eq!(raw.refused(raw.call(2, &deep)).await, not_run("call_depth_exceeded"));
    let here = fields::Attached::Here(Bytes::new());
    let late = raw.frame(Kind::Call, 3, |out| fields::write_call(out, &call_of("a"), raw.time(0), &here));
    assert_eq!(raw.refused(late).await, not_run("deadline_exceeded"));
    let nowhere = fields::Attached::Before(7);
    let before = |out: &mut _| fields::write_call(out, &call_of(""), raw.time(1000), &nowhere);
    assert_eq!(raw.refused(raw.frame(Kind::Call, 4, before)).await, not_run("request_invalid"));
    let put = |total, offset, len: usize| fields::Put {
        upload: 7,
        remaining: Duration::from_secs(1),
        total,
        offset,
        bytes: vec![0; len].into(),
    };
    let puts = [
        (put(u32::MAX, 0, 1), "payload_too_large"),
        (put(10, 5, 6), "request_invalid"),
        (put(10, u32::MAX, 6), "request_invalid"),
        (put(10, 0, 0), "request_invalid"),
    ];
    for (counter, (put, code)) in (5..).zip(puts) {
        let frame = raw.frame(Kind::Put, counter, |out| fields::write_put(out, &put));
        assert_eq!(raw.refused(frame).await, not_run(code), "{put:?}");
    }
    let get = fields::Get { counter: 1, offset: 0, len: 10 };
    assert_eq!(raw.refused(raw.frame(Kind::Get, 20, |out| fields::write_get(out, get))).await.0, "request_invalid");
    // A payload of which a part is missing.
    let stored = raw.ask(raw.frame(Kind::Put, 21, |out| fields::write_put(out, &put(10, 0, 6)))).await.unwrap();
    assert_eq!(stored.0, Kind::Stored);
    assert_eq!(raw.refused(raw.frame(Kind::Call, 22, before)).await, not_run("request_invalid"));
    assert_eq!((server.begun(), two.desk.kept_len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_payload_whose_call_does_not_come_is_dropped_at_its_deadline() {
    let bus = MemoryBus::new();
    let (_one, two, _server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let bytes = Bytes::from_static(b"part");
    let put = fields::Put { upload: 1, remaining: Duration::from_secs(3), total: 5000, offset: 0, bytes };
    raw.ask(raw.frame(Kind::Put, 1, |out| fields::write_put(out, &put))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2900)).await;
    assert_eq!(two.desk.kept_len(), 5000);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(two.desk.kept_len(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_payloads_of_a_byte_take_the_room_of_longer_ones() {
    let bus = MemoryBus::new();
    let limits = Limits { kept_len_per_host_max: 10 * 1024, ..Limits::default() };
    let (_one, two, _server) = pair(&bus, limits).await;
    let raw = RawPeer::open(&bus).await;
    let put = |upload: u64| {
        let bytes = Bytes::from_static(b"x");
        let put = fields::Put { upload, remaining: Duration::from_secs(3), total: 1, offset: 0, bytes };
        raw.frame(Kind::Put, upload, |out| fields::write_put(out, &put))
    };
    for upload in 1..=10 {
        assert_eq!(raw.ask(put(upload)).await.unwrap().0, Kind::Stored, "{upload}");
    }
    assert_eq!(raw.refused(put(11)).await, ("overloaded".to_owned(), false));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(two.desk.kept_len(), 0);
    assert_eq!(raw.ask(put(12)).await.unwrap().0, Kind::Stored);
}

#[tokio::test(start_paused = true)]
async fn a_first_contact_is_taken_once_and_by_whom_it_is_for() {
    let bus = MemoryBus::new();
    let (_one, _two, _server) = pair(&bus, Limits::default()).await;
    let elsewhere = Identity { lattice: "other".parse().unwrap(), ..identity(2) };
    let other = start_with(bus.connect(), elsewhere, Limits::default());
    other.serve(Arc::new(Server::default())).await.unwrap();
    let raw = RawPeer::open(&bus).await;
    for (lattice, why) in [("test", NoSession::Repeated), ("other", NoSession::Misdirected)] {
        let answer = send(&raw.bus, lattice, raw.hello.clone()).await.unwrap();
        assert_eq!(Head::read(&answer).unwrap().kind, Kind::Declined);
        assert!(answer.ends_with(why.to_string().as_bytes()), "{lattice}: {answer:?}");
    }
    // Forgotten only when it is stale.
    for seconds in [59, 60, 200] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let answer = send(&raw.bus, "test", raw.hello.clone()).await.unwrap();
        assert_eq!(Head::read(&answer).unwrap().kind, Kind::Declined);
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_first_contacts_are_declined_and_the_rest_goes_on() {
    let bus = MemoryBus::new();
    let (_one, _two, _server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let mut forged = raw.hello.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Bytes::from(forged);
    let mut busy = 0;
    for _ in 0..2100 {
        let answer = send(&raw.bus, "test", forged.clone()).await.unwrap();
        busy += usize::from(answer.ends_with(NoSession::Busy.to_string().as_bytes()));
    }
    assert_eq!(busy, 101);
    assert_eq!(raw.ask(raw.call(1, &call_of("a"))).await.unwrap().0, Kind::Answer);
    tokio::time::advance(Duration::from_secs(1)).await;
    let other = start(&bus, 3);
    other.call(host(2), call_of("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_changed_byte_of_a_first_contact_is_noticed() {
    let hello = handshake::Hello::new(&identity(1), &host(2), Seeded::new(1, 5).as_ref()).unwrap();
    assert!(Proven::read(&identity(2), &hello.frame, 5).is_ok());
    for at in 0..hello.frame.len() {
        let mut changed = hello.frame.to_vec();
        changed[at] ^= 4;
        assert!(Proven::read(&identity(2), &changed.into(), 5).is_err(), "{at}");
    }
    for len in 0..hello.frame.len() {
        assert!(Proven::read(&identity(2), &hello.frame.slice(..len), 5).is_err(), "{len}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_welcome_is_for_one_first_contact_only() {
    let seeded = Seeded::new(1, 5);
    let [hello, other] = [0; 2].map(|_| handshake::Hello::new(&identity(1), &host(2), seeded.as_ref()).unwrap());
    let proven = Proven::read(&identity(2), &hello.frame, 5).unwrap();
    let (welcome, _keys) = proven.welcome(&identity(2), 1, 7, seeded.as_ref()).unwrap();
    assert_eq!(hello.finish(&identity(1), &welcome).unwrap().session, 7);
    assert_eq!(other.finish(&identity(1), &welcome).unwrap_err(), NoSession::Repeated);
    for at in 0..welcome.len() {
        let mut changed = welcome.to_vec();
        changed[at] ^= 4;
        assert!(hello.finish(&identity(1), &changed.into()).is_err(), "{at}");
    }
}

#[test]
fn only_the_host_asked_can_say_that_a_session_is_gone() {
    let request = Bytes::from_static(b"request");
    let said = gone(&identity(2), 5, &request);
    assert_eq!(read_gone(&identity(1), &host(2), &request, &said), Some(5));
    assert_eq!(read_gone(&identity(1), &host(3), &request, &said), None);
    assert_eq!(read_gone(&identity(1), &host(2), &Bytes::from_static(b"another"), &said), None);
    assert_eq!(read_gone(&identity(1), &host(2), &request, &gone(&identity(9), 5, &request)), None);
    for at in 0..said.len() {
        let mut changed = said.to_vec();
        changed[at] ^= 1;
        assert_eq!(read_gone(&identity(1), &host(2), &request, &changed.into()), None, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_under_way_for_longer_than_it_may_take_does_not_run() {
    let bus = MemoryBus::new();
    let (_one, _two, server) = pair(&bus, Limits::default()).await;
    let raw = RawPeer::open(&bus).await;
    let (late, just) = (raw.call(1, &call_of("a")), raw.call(2, &call_of("a")));
    tokio::time::advance(Duration::from_millis(2900)).await;
    assert_eq!(raw.ask(just).await.unwrap().0, Kind::Answer);
    let left = server.last.lock().unwrap().as_ref().unwrap().1.context.deadline.remaining(Instant::now().into_std());
    assert_eq!(left, Duration::from_millis(100), "what the way took is taken off");
    tokio::time::advance(Duration::from_millis(101)).await;
    assert_eq!(raw.refused(late).await, ("deadline_exceeded".into(), false));
    assert_eq!(server.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_prove_nothing_keep_nobody_from_making_sessions() {
    let bus = MemoryBus::new();
    let (one, _two, _server) = pair(&bus, Limits::default()).await;
    let seeded = Seeded::new(5, 1_800_000_000);
    let to = subject::rpc_host(&"test".parse().unwrap(), &host(2));
    let untrusted = handshake::Hello::new(&identity(9), &host(2), seeded.as_ref()).unwrap().frame;
    let stray = Head { kind: Kind::Call, session: 99, counter: 1 }.begin(0).freeze();
    for _ in 0..3000 {
        for frame in [&untrusted, &stray] {
            bus.publish(&to, Some("_INBOX.nobody"), &[], frame.clone()).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(one.call(host(2), call_of("a")).await.unwrap(), "a");
}
