//! Hosts that carry out signed requests only.

use std::sync::atomic::AtomicU8;

use wattle_types::{
    control::{Command, Progress},
    signed,
};

use super::{
    declared::{declare, file, send, written},
    *,
};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn code(outcome: Progress) -> String {
    match outcome {
        Progress::Failed { code, .. } => code,
        outcome => format!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_signed_requests_of_controllers_and_orders_of_the_leader_are_carried_out() {
    let lattice = Lattice::new();
    let controller = KeyPair::generate(KeyKind::Account).unwrap();
    let config = |name: &str| HostConfig {
        friendly_name: name.into(),
        require_signed: true,
        controllers: vec![controller.public_key()],
        ..HostConfig::default()
    };
    let a = lattice.host_with(config("a"), &lattice.cluster).await;
    let b = lattice.host_with(config("b"), &lattice.cluster).await;
    let folder = tempfile::tempdir().unwrap();
    let reference = file(folder.path(), "echo.wasm", &lattice.author.echo("1:", 1));
    let (subject, body) = written(&a, &declare(&reference, 2));
    let (_, unsigned) = send(&lattice, &subject, &[], body.clone()).await;
    assert_eq!(code(unsigned), "request_unsigned");
    let stranger = signed::sign(&lattice.author.account, &subject, body.as_bytes(), now(), [1; 16]);
    assert_eq!(code(send(&lattice, &subject, &stranger, body.clone()).await.1), "request_not_permitted");
    // What is signed is taken, and what it leads to: the leader's orders to both hosts.
    let headers = signed::sign(&controller, &subject, body.as_bytes(), now(), [2; 16]);
    let (steps, outcome) = send(&lattice, &subject, &headers, body.clone()).await;
    assert!(matches!(outcome, Progress::Done { .. }), "{steps:?} {outcome:?}");
    assert_eq!(code(send(&lattice, &subject, &headers, body).await.1), "request_repeated");
    let (subject, open) = written(&a, &Command::GetDeclared);
    assert!(matches!(send(&lattice, &subject, &[], open).await.1, Progress::Done { .. }));
    a.shutdown().await;
    b.shutdown().await;
}

/// Sends a leader's order, and returns what comes of it.
async fn order(lattice: &Lattice, host: &Host, command: &Command, term: u64) -> wattle_bus::Subscription {
    static ORDERS: AtomicU8 = AtomicU8::new(100);
    let nonce = ORDERS.fetch_add(1, Ordering::Relaxed);
    let (subject, body) = written(host, command);
    let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
    body["term"] = term.into();
    let (body, bus) = (body.to_string(), lattice.network.connect());
    let headers = signed::sign(&lattice.cluster, &subject, body.as_bytes(), now(), [nonce; 16]);
    let inbox = bus.new_inbox();
    let answers = bus.subscribe(&inbox, None).await.unwrap();
    bus.publish(&subject, Some(&inbox), &headers, body.into()).await.unwrap();
    answers
}

/// Waits for a step of an order, or for its end.
async fn step(answers: &mut wattle_bus::Subscription, wanted: &str) -> Progress {
    let progress = async {
        loop {
            match serde_json::from_slice(&answers.next().await.unwrap().payload).unwrap() {
                Progress::Step { step, .. } if step != wanted => {}
                progress => return progress,
            }
        }
    };
    tokio::time::timeout(SOON, progress).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_takes_long_changes_nothing_once_a_later_leader_was_heard() {
    let lattice = Lattice::new();
    let host = lattice.host("a").await;
    let actor = start(&host, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await.to_string();
    start_script(&host, "store").await;
    host.put_link(link(lattice.author.id(), "store"), false).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let update = |revision: i32| {
        let module = lattice.author.echo(&format!("{revision}:"), revision);
        let reference = file(folder.path(), &format!("{revision}.wasm"), &module);
        Command::UpdateActor { actor: actor.clone(), reference, force: true }
    };
    // The first update waits for a call in flight, and the second one for the first.
    lattice.script.hold.store(true, Ordering::SeqCst);
    let (caller, target) = (host.clone(), actor.clone());
    let mut calling = tokio::task::JoinSet::new();
    calling.spawn(async move { drop(caller.call(&target, "Get", Bytes::new(), None).await.unwrap()) });
    lattice.script.holding.notified().await;
    let mut first = order(&lattice, &host, &update(2), 1000).await;
    assert!(matches!(step(&mut first, "published").await, Progress::Step { .. }));
    let mut second = order(&lattice, &host, &update(3), 1000).await;
    assert!(matches!(step(&mut second, "fetched").await, Progress::Step { .. }));
    let mut later = order(&lattice, &host, &Command::GetLoad, 1001).await;
    assert!(matches!(step(&mut later, "").await, Progress::Done { .. }));
    lattice.script.release.notify_one();
    calling.join_all().await;
    assert!(matches!(step(&mut first, "").await, Progress::Done { .. }));
    assert_eq!(code(step(&mut second, "").await), "term_outdated");
    assert_eq!(call(&host, &actor, b"x").await.unwrap(), "2:x");
    host.shutdown().await;
}

/// Sends a request that any host may take; returns its answer.
async fn ask_any(
    lattice: &Lattice,
    verb: &str,
    headers: &[(String, String)],
    body: &str,
) -> (wattle_types::control::Reply<serde_json::Value>, Vec<(String, String)>) {
    let subject = wattle_types::subject::control(&wattle_types::LatticeId::default(), verb);
    let bus = lattice.network.connect();
    let answer = bus.request(&subject, headers, body.to_owned().into(), Duration::from_secs(5)).await.unwrap();
    (serde_json::from_slice(&answer.payload).unwrap(), answer.headers)
}

fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_late_is_not_carried_out() {
    let lattice = Lattice::new();
    let a = lattice.host_with(HostConfig::default(), &lattice.cluster).await;
    let in_time = [signed::until(now_ms() + 60_000)];
    assert!(ask_any(&lattice, "config.put.z", &in_time, r#"{"a":"NEW"}"#).await.0.success);
    let late = [signed::until(now_ms() - 1)];
    let (refused, headers) = ask_any(&lattice, "config.put.z", &late, r#"{"a":"OLD"}"#).await;
    assert!(!refused.success && refused.message.contains("after it was of use"), "{}", refused.message);
    assert!(signed::millis_in(&headers, signed::CLOCK).unwrap().unwrap().abs_diff(now_ms()) < 60_000);
    let ask = Command::Ask { verb: "config.put.z".into(), body: serde_json::json!({ "a": "OLD" }) };
    let (subject, body) = written(&a, &ask);
    assert_eq!(code(send(&lattice, &subject, &late, body).await.1), "request_late");
    let (kept, _) = ask_any(&lattice, "config.get.z", &[], "").await;
    assert_eq!(kept.response.unwrap()["a"], "NEW");
    // Tools of others say no end.
    assert!(ask_any(&lattice, "config.put.z", &[], r#"{"a":"b"}"#).await.0.success);
    a.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_change_is_carried_out_by_one_host_and_once() {
    let lattice = Lattice::new();
    let controller = KeyPair::generate(KeyKind::Account).unwrap();
    let config =
        || HostConfig { require_signed: true, controllers: vec![controller.public_key()], ..HostConfig::default() };
    let a = lattice.host_with(config(), &lattice.cluster).await;
    let b = lattice.host_with(config(), &lattice.cluster).await;
    let subject = wattle_types::subject::control(&wattle_types::LatticeId::default(), "config.put.z");
    let old = r#"{"a":"OLD"}"#;
    let headers = signed::sign(&controller, &subject, old.as_bytes(), now(), [1; 16]);
    for _ in 0..40 {
        let (refused, _) = ask_any(&lattice, "config.put.z", &headers, old).await;
        assert!(!refused.success && refused.message.contains("sent to one host"), "{}", refused.message);
    }
    let ask = Command::Ask { verb: "config.put.z".into(), body: serde_json::json!({ "a": "OLD" }) };
    let (subject, body) = written(&a, &ask);
    let headers = signed::sign(&controller, &subject, body.as_bytes(), now(), [2; 16]);
    assert!(matches!(send(&lattice, &subject, &headers, body.clone()).await.1, Progress::Done { .. }));
    let (to_b, _) = written(&b, &ask);
    assert_eq!(code(send(&lattice, &to_b, &headers, body.clone()).await.1), "request_signature_invalid");
    for _ in 0..40 {
        assert_eq!(code(send(&lattice, &subject, &headers, body.clone()).await.1), "request_repeated");
    }
    a.shutdown().await;
    b.shutdown().await;
}
