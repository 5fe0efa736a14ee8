//! What people get wrong first, and what they are told.

use std::{net::TcpListener, sync::Arc};

use wattle_bus::Bus as _;
use wattle_types::control::Progress;

use super::rig::{HOST, NoHost, OTHER_HOST, Rig, ScriptedHost, golden};
use crate::context::connect_nats;

/// Checks the text; and that programs get the same in one document, with the same exit code.
async fn check(name: &str, rig: &Rig, arguments: &[&str]) {
    let ran = rig.run(arguments).await;
    assert_ne!(ran.code, 0, "{ran}");
    assert!(ran.out.is_empty(), "errors do not belong to the result: {ran}");
    assert!(ran.err.contains("hint:") || ran.err.contains("try '--help'"), "what now? {ran}");
    golden(&format!("mistake-{name}"), &ran);
    let json = rig.run(&[arguments, &["-o", "json"]].concat()).await;
    assert_eq!(json.code, ran.code);
    assert!(json.json()["error"]["hints"][0].is_string(), "{json}");
}

#[tokio::test]
async fn no_nats_server_program() {
    check("no-nats-server", &Rig::new(), &["up"]).await;
}

#[tokio::test]
async fn nats_does_not_run() {
    let mut rig = Rig::new();
    rig.connect = Arc::new(|options| Box::pin(connect_nats(options)));
    check("no-nats", &rig, &["get", "hosts", "--nats-url", "nats://127.0.0.1:1"]).await;
}

#[tokio::test]
async fn nats_has_a_certificate_of_an_authority_nobody_named() {
    let mut rig = Rig::new();
    rig.connect = Arc::new(|_| {
        let why = "tls://nats.example: IO error: invalid peer certificate: UnknownIssuer";
        Box::pin(async move { Err(wattle_bus::BusError::Disconnected(why.into()).into()) })
    });
    check("unknown-authority", &rig, &["get", "hosts", "--nats-url", "tls://nats.example"]).await;
}

#[tokio::test]
async fn who_we_are_is_said_in_two_ways() {
    let both = ["get", "hosts", "--nats-creds", "a.creds", "--nats-nkey", "b.nk"];
    check("two-users", &Rig::new(), &both).await;
    let half = ["get", "hosts", "--nats-tls-cert", "a.pem"];
    check("certificate-without-key", &Rig::new(), &half).await;
}

#[tokio::test]
async fn the_port_is_taken() {
    let mut rig = Rig::new();
    rig.find_nats_server = || Ok("/bin/true".into());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut ran = rig.run(&["up", "--nats-port", &port]).await;
    ran.err = ran.err.replace(&port, "[PORT]");
    golden("mistake-port-taken", &ran);
}

#[tokio::test(start_paused = true)]
async fn no_host_answers() {
    check("no-host", &Rig::new(), &["start", "provider", "httpserver"]).await;
}

/// NATS then has somebody who might answer.
#[tokio::test(start_paused = true)]
async fn no_host_answers_while_somebody_listens_to_everything() {
    let rig = Rig::new();
    let _curious = rig.bus.connect().subscribe(">", None).await.unwrap();
    for line in [&["get", "hosts"][..], &["get", "claims"], &["config", "put", "a", "b=c"], &["start", "provider", "x"]]
    {
        let begun = tokio::time::Instant::now();
        let ran = rig.run(line).await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{line:?}: {ran}");
        assert!(line == ["get", "hosts"] || (ran.code == 4 && ran.err.contains("no host answers")), "{line:?}: {ran}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_such_host() {
    let rig = Rig::with_host(|_| Vec::new()).await;
    check("no-such-host", &rig, &["get", "inventory", "noisy-reed"]).await;
}

#[tokio::test(start_paused = true)]
async fn several_hosts() {
    let mut rig = Rig::with_host(|_| Vec::new()).await;
    rig.add_host("loud-reed", OTHER_HOST, |_| Vec::new()).await;
    check("several-hosts", &rig, &["start", "provider", "httpserver"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_module() {
    let rig = Rig::with_host(|_| {
        vec![Progress::Failed {
            code: "claims_missing".into(),
            message: "it is not signed: it carries no claims".into(),
            remedy: Some("sign the module with: wattle claims sign MODULE.wasm --cap CONTRACT".into()),
        }]
    })
    .await;
    rig.file("plain.wasm", b"\0asm\x01\0\0\0");
    check("unsigned-start", &rig, &["start", "actor", "plain.wasm"]).await;
    check("unsigned-inspect", &rig, &["claims", "inspect", "plain.wasm"]).await;
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be() {
    let rig = Rig::new();
    rig.file("text.wasm", "hello");
    check("no-file", &rig, &["start", "actor", "missing.wasm"]).await;
    check("not-wasm", &rig, &["claims", "sign", "text.wasm"]).await;
    rig.file("component.wasm", b"\0asm\x0d\0\x01\0");
    check("a-component", &rig, &["claims", "sign", "component.wasm"]).await;
    assert!(
        rig.run(&["keys", "list", "-o", "json"]).await.json().as_array().unwrap().is_empty(),
        "keys made for nothing"
    );
    check("not-claims", &rig, &["claims", "inspect", "text.wasm"]).await;
    check("a-directory", &rig, &["claims", "inspect", "."]).await;
    check("start-a-directory", &rig, &["start", "actor", "."]).await;
    check("no-digest", &rig, &["start", "actor", "https://example.com/a.wasm"]).await;
}

#[tokio::test]
async fn unknown_and_taken_keys() {
    let rig = Rig::new();
    check("unknown-key", &rig, &["keys", "get", "nobody"]).await;
    assert_eq!(rig.run(&["keys", "gen", "account"]).await.code, 0);
    check("key-exists", &rig, &["keys", "gen", "account"]).await;
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    check("wrong-key", &rig, &["claims", "sign", "m.wasm", "--subject", "default_account"]).await;
}

#[tokio::test(start_paused = true)]
async fn bad_payloads_and_unknown_actors() {
    let rig = Rig::with_host(|_| Vec::new()).await;
    check("bad-json", &rig, &["call", "Counter", "Add", "{by: 2}"]).await;
    check("unknown-actor", &rig, &["call", "Conter", "Add", "{}"]).await;
    // A number below zero is a payload, not an option.
    assert_eq!(rig.run(&["call", "Conter", "Add", "-3"]).await.code, 3);
}

#[tokio::test(start_paused = true)]
async fn a_silent_host() {
    let rig = Rig::with_host(|_| Vec::new()).await;
    check("silent-host", &rig, &["stop", "provider", "store", "--host", HOST]).await;
}

#[tokio::test]
async fn mistyped_command_lines() {
    let rig = Rig::new();
    check("unknown-code", &rig, &["explain", "claims"]).await;
    check("typo", &rig, &["strat", "actor", "a.wasm"]).await;
    check("no-equals", &rig, &["link", "put", "A", "b", "c:d", "address"]).await;
    check("bad-contract", &rig, &["claims", "sign", "a.wasm", "--cap", "key value"]).await;
    check("bad-trust", &rig, &["up", "--trust", "ACCOUNT"]).await;
}

#[tokio::test(start_paused = true)]
async fn up_and_down_twice() {
    let rig = Rig::new();
    assert_eq!(rig.run(&["keys", "gen", "account"]).await.code, 0);
    check("not-up", &rig, &["down"]).await;
    let up = ["up", "--nats-url", "nats://test"];
    let twice = async {
        while !rig.path(".local/state/wattle/default/host.json").exists() {
            tokio::task::yield_now().await;
        }
        check("already-up", &rig, &up).await;
        rig.run(&["down"]).await
    };
    let (first, down) = tokio::join!(rig.run_with(&up, Arc::new(ScriptedHost)), twice);
    assert_eq!((first.code, down.code), (0, 0), "{first}{down}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_start() {
    let ran = Rig::new().run_with(&["up", "--nats-url", "nats://test"], Arc::new(NoHost)).await;
    assert_eq!(ran.code, 1);
    golden("mistake-host-fails", &ran);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_starts() {
    let rig = Rig::new();
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    for bad in [
        &["up", "--log", "garbage=foo=bar"][..],
        &["up", "--detached", "--log", "garbage=foo=bar"],
        &["up", "--nats-url", "garbage://x"],
        &["up", "--nats-url", "nats://me:secret@x"],
        &["get", "hosts", "--nats-url", "nats://"],
        &["claims", "sign", "m.wasm", "--name", ""],
    ] {
        let ran = rig.run(bad).await;
        assert_eq!(ran.code, 2, "{bad:?}: {ran}");
    }
    assert!(!rig.path(".local").exists() && !rig.path(".wattle").exists(), "something was made");
}

#[tokio::test(start_paused = true)]
async fn a_broken_key_file_is_left_out_with_a_warning() {
    let rig = Rig::new();
    assert_eq!(rig.run(&["keys", "gen", "account"]).await.code, 0);
    rig.file(".wattle/keys/broken.nk", "SAASECRET");
    let ran = rig.run(&["keys", "list"]).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.out.contains("default_account") && ran.err.contains("broken.nk does not hold a seed"), "{ran}");
    assert!(!ran.err.contains("SECRET"), "{ran}");
    // Only the host of this test fails.
    let up = rig.run(&["up", "--nats-url", "nats://test", "--host-key", "edge"]).await;
    assert_eq!(up.code, 1, "{up}");
    assert!(up.err.contains("broken.nk") && up.err.contains("Made the host key edge_"), "{up}");
}

#[tokio::test]
async fn a_capability_named_twice_is_claimed_once() {
    let rig = Rig::new();
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    let ran =
        rig.run(&["claims", "sign", "m.wasm", "--cap", "a:b", "--cap", "c:d", "--cap", "a:b", "-o", "json"]).await;
    assert_eq!(ran.json()["capabilities"], serde_json::json!(["a:b", "c:d"]), "{ran}");
}
