//! The bytes of every message, as they are on the wire, and what becomes of them when they change.
//!
//! `golden.txt` holds a name and a message in each line. It changes only with the protocol's version.

use data_encoding::HEXLOWER;

use super::{
    fields::{Attached, CallTime, Get, Put},
    frame::{Head, Kind, open},
    handshake::{Hello, Proven, gone},
    keys::{Key, Keys},
    *,
};

const GOLDEN: &str = include_str!("golden.txt");

const TIME: CallTime = CallTime { remaining: Duration::from_millis(1999), sent: Duration::from_millis(60_001) };

fn keys() -> Keys {
    Keys::derive(&[1; 32], &[2; 32]).unwrap()
}

fn sealed(key: &Key, kind: Kind, write: impl FnOnce(&mut bytes::BytesMut)) -> Bytes {
    let mut frame = Head { kind, session: 0x0102_0304_0506_0708, counter: 9 }.begin(0);
    write(&mut frame);
    key.seal(frame)
}

fn calls() -> Vec<(&'static str, RemoteCall, Attached)> {
    let mut traced = call_of("");
    traced.context.depth = 3;
    traced.context.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let provider = "kv".parse().unwrap();
    let (over, served) = (Some(link(11)), Target::Provider { link: link(12), provider });
    vec![
        ("call_actor", call_of(""), Attached::Here("payload".into())),
        (
            "call_actor_over_link",
            RemoteCall {
                origin: Origin::Provider("web".parse().unwrap()),
                target: Target::Actor { actor: actor(11), link: over },
                ..traced
            },
            Attached::Here(Bytes::new()),
        ),
        ("call_provider", RemoteCall { origin: Origin::Host, target: served, ..call_of("") }, Attached::Before(77)),
    ]
}

fn refusal() -> Refusal {
    let refusal = Refusal::not_run("guest_trapped", ErrorKind::Guest, "it did: \u{fc}");
    Refusal { executed: true, ..refusal }
}

/// Every message of the protocol, by name.
fn messages() -> Vec<(&'static str, Bytes)> {
    let seeded = Seeded::new(3, 1_800_000_000);
    let hello = Hello::new(&identity(1), &host(2), seeded.as_ref()).unwrap();
    let proven = Proven::read(&identity(2), &hello.frame, 1_800_000_000).unwrap();
    let (welcome, _keys) =
        proven.welcome(&identity(2), 1_800_000_000_123, 0x0102_0304_0506_0708, seeded.as_ref()).unwrap();
    let Keys { request, reply } = keys();
    let put = Put { upload: 77, remaining: Duration::from_millis(1500), total: 6, offset: 2, bytes: "part".into() };
    let get = Get { counter: 8, offset: 100, len: 50 };
    let mut messages: Vec<_> = calls()
        .iter()
        .map(|(name, call, payload)| {
            let write = |out: &mut _| fields::write_call(out, call, TIME, payload);
            (*name, sealed(&request, Kind::Call, write))
        })
        .collect();
    messages.extend([
        ("hello", hello.frame),
        ("welcome", welcome),
        ("declined", handshake::declined(&handshake::NoSession::Stale)),
        ("gone", gone(&identity(2), 1_800_000_000_123, &messages[0].1)),
        ("put", sealed(&request, Kind::Put, |out| fields::write_put(out, &put))),
        ("get", sealed(&request, Kind::Get, |out| fields::write_get(out, get))),
        ("answer", sealed(&reply, Kind::Answer, |out| out.extend_from_slice(b"answer"))),
        ("held", sealed(&reply, Kind::Held, |out| fields::write_held(out, 1_000_000))),
        ("refused", sealed(&reply, Kind::Refused, |out| fields::write_refusal(out, &refusal()))),
        ("part", sealed(&reply, Kind::Part, |out| out.extend_from_slice(b"part"))),
        ("stored", sealed(&reply, Kind::Stored, |_| {})),
    ]);
    messages
}

#[tokio::test(start_paused = true)]
async fn messages_are_written_as_ever() {
    let written: String =
        messages().iter().map(|(name, bytes)| format!("{name} {}\n", HEXLOWER.encode(bytes))).collect();
    assert_eq!(written, GOLDEN, "what is written now:\n{written}");
}

#[test]
fn messages_are_read_as_ever() {
    let read = |name: &str| -> Bytes {
        let line = GOLDEN.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        HEXLOWER.decode(line.as_bytes()).unwrap().into()
    };
    let Keys { request, reply } = keys();
    for (name, call, payload) in calls() {
        let head = Head::read(&read(name)).unwrap();
        assert_eq!(head, Head { kind: Kind::Call, session: 0x0102_0304_0506_0708, counter: 9 });
        let came = fields::read_call(open(&request, &read(name)).unwrap()).unwrap();
        assert_eq!((came.time, came.depth), (TIME, call.context.depth));
        assert_eq!((came.origin, came.target, came.operation), (call.origin, call.target, call.operation));
        assert_eq!((came.traceparent, came.payload), (call.context.traceparent, payload));
    }
    let came = fields::read_put(open(&request, &read("put")).unwrap()).unwrap();
    assert_eq!((came.upload, came.total, came.offset, came.bytes.as_ref()), (77, 6, 2, b"part".as_slice()));
    let came = fields::read_get(open(&request, &read("get")).unwrap()).unwrap();
    assert_eq!(came, Get { counter: 8, offset: 100, len: 50 });
    assert_eq!(fields::read_held(open(&reply, &read("held")).unwrap()).unwrap(), 1_000_000);
    assert_eq!(fields::read_refusal(open(&reply, &read("refused")).unwrap()).unwrap(), refusal());
    assert_eq!(Proven::read(&identity(2), &read("hello"), 1_800_000_000).unwrap().from, host(1));
}

/// The next of a sequence that looks random and is the same in every run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

fn mutate(bytes: &mut Vec<u8>, state: &mut u64) {
    for _ in 0..=next(state) % 3 {
        let at = next(state) % (bytes.len() + 1);
        match next(state) % 5 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, next(state).to_le_bytes()[0]),
            2 => bytes.extend(std::iter::repeat_n(0xFF, at)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (next(state) % 8);
                }
            }
        }
    }
}

/// Reads bytes in every way a peer can make us read them.
fn read_all(bytes: &Bytes) {
    let _ = Head::read(bytes);
    let _ = fields::read_call(bytes.clone());
    let _ = fields::read_put(bytes.clone());
    let _ = fields::read_get(bytes.clone());
    let _ = fields::read_held(bytes.clone());
    let _ = fields::read_refusal(bytes.clone());
}

#[tokio::test(start_paused = true)]
async fn mutated_messages_are_never_accepted_and_never_panic() {
    let (Keys { request, reply }, mut state) = (keys(), 42);
    for (name, message) in messages() {
        for _ in 0..3000 {
            let mut changed = message.to_vec();
            mutate(&mut changed, &mut state);
            if changed == message {
                continue;
            }
            let changed = Bytes::from(changed);
            assert!(open(&request, &changed).is_err() && open(&reply, &changed).is_err(), "{name} {changed:?}");
            read_all(&changed);
            read_all(&changed.slice(frame::HEAD_LEN.min(changed.len())..));
        }
        // First contacts cost a signature each.
        for _ in 0..100 {
            let mut changed = message.to_vec();
            mutate(&mut changed, &mut state);
            assert!(
                changed == message || Proven::read(&identity(2), &changed.into(), 1_800_000_000).is_err(),
                "{name}"
            );
        }
    }
}
