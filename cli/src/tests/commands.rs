//! Commands that succeed: what they send, and what they show.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use data_encoding::BASE64;
use serde_json::json;
use wattle_bus::Bus as _;
use wattle_types::{control::Command, subject};

use super::rig::{ACTOR, HOST, NoHost, OTHER_HOST, Rig, Sink, done, golden, step};

/// A module that does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Runs a command against a host that answers `result`, and returns what was sent too.
async fn check(name: &str, arguments: &[&str], result: serde_json::Value) -> Command {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let rig = Rig::with_host(move |command| {
        if *command == Command::GetDeclared {
            return done(json!([]));
        }
        seen.lock().unwrap().push(command.clone());
        [step("fetched", "1.2 MB", 3), step("published", "generation 4", 41)]
            .into_iter()
            .chain(done(result.clone()))
            .collect()
    })
    .await;
    rig.file("counter_s.wasm", MODULE);
    rig.file("store.json", r#"{"url":"redis://:secret@db"}"#);
    golden(name, &rig.run(arguments).await);
    let ran = rig.run(&[arguments, &["-o", "json"]].concat()).await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(ran.err, "", "progress and remarks have no place in JSON");
    let _one_document = ran.json();
    let sent = sent.lock().unwrap();
    assert!(sent.iter().all(|command| *command == sent[0]));
    sent[0].clone()
}

#[tokio::test(start_paused = true)]
async fn start_actor() {
    let running = json!({ "actor": ACTOR, "running": { "name": "Counter" } });
    let sent = check("start-actor", &["start", "actor", "counter_s.wasm", "--max-in-flight", "8"], running).await;
    let Command::StartActor { reference, max_in_flight, .. } = sent else { panic!("{sent:?}") };
    assert!(reference.starts_with("file:///") && reference.ends_with("/counter_s.wasm"), "{reference}");
    assert_eq!(max_in_flight, Some(8));
}

#[tokio::test(start_paused = true)]
async fn update_actor_by_alias() {
    let running = json!({ "actor": ACTOR, "running": { "name": "Counter", "revision": 3 } });
    let sent = check("update-actor", &["update", "actor", "tally", "counter_s.wasm", "--force"], running).await;
    assert!(matches!(&sent, Command::UpdateActor { actor, force: true, .. } if actor == ACTOR), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn stop_actor_by_name_and_prefix() {
    let sent = check("stop-actor", &["stop", "actor", "Counter"], json!({ "actor": ACTOR })).await;
    assert_eq!(sent, Command::StopActor { actor: ACTOR.into() });
    let sent = check("stop-actor", &["stop", "actor", "MAB2"], json!({ "actor": ACTOR })).await;
    assert_eq!(sent, Command::StopActor { actor: ACTOR.into() });
}

#[tokio::test(start_paused = true)]
async fn start_update_and_stop_provider() {
    let provider = json!({ "provider": "store" });
    let arguments =
        ["start", "provider", "keyvalue-redis", "--id", "store", "--config", "@store.json", "--config", "pool=4"];
    let sent = check("start-provider", &arguments, provider.clone()).await;
    let Command::StartProvider { reference, config, .. } = sent else { panic!("{sent:?}") };
    assert_eq!(reference, "builtin:keyvalue-redis");
    assert_eq!((config["url"].as_str(), config["pool"].as_str()), ("redis://:secret@db", "4"));

    let sent = check("update-provider", &["update", "provider", "store", "keyvalue-redb"], provider.clone()).await;
    assert!(matches!(sent, Command::UpdateProvider { config: None, .. }));
    let sent = check("stop-provider", &["stop", "provider", "store"], provider).await;
    assert_eq!(sent, Command::StopProvider { provider: "store".parse().unwrap(), force: false });
}

#[tokio::test(start_paused = true)]
async fn links() {
    let put = ["link", "put", "Counter", "cache", "wasmcloud:keyvalue", "url=redis://db"];
    let sent = check("link-put", &put, json!({ "served": false })).await;
    let Command::PutLink { link, replace: false } = sent else { panic!("{sent:?}") };
    assert_eq!(link.values["url"], "redis://db");

    let all = json!([link]);
    check("link-query", &["link", "query"], all.clone()).await;
    check("link-query-values", &["get", "links", "--actor", "tally", "--values"], all).await;

    let sent = check("link-del", &["link", "del", "Counter", "wasmcloud:keyvalue"], json!({})).await;
    assert_eq!(sent, Command::DeleteLink { link: link.key });
}

#[tokio::test(start_paused = true)]
async fn call() {
    let answer = BASE64.encode(b"\x81\xa5count\x2a");
    let result = json!({ "payload": answer, "elapsed_us": 250 });
    let sent = check("call", &["call", "Counter", "Counter.Add", r#"{"by": 2}"#], result.clone()).await;
    let Command::Call { payload, .. } = sent else { panic!("{sent:?}") };
    assert_eq!(BASE64.decode(payload.as_bytes()).unwrap(), b"\x81\xa2by\x02");

    let sent =
        check("call-raw", &["call", "Counter", "Say", "hello", "--raw"], json!({ "payload": "aGk=", "elapsed_us": 1 }))
            .await;
    let Command::Call { payload, .. } = sent else { panic!("{sent:?}") };
    assert_eq!(BASE64.decode(payload.as_bytes()).unwrap(), b"hello");
}

#[tokio::test(start_paused = true)]
async fn get() {
    let rig = Rig::with_host(|_| Vec::new()).await;
    for noun in ["hosts", "inventory", "claims"] {
        golden(&format!("get-{noun}"), &rig.run(&["get", noun]).await);
        golden(&format!("get-{noun}-json"), &rig.run(&["get", noun, "-o", "json"]).await);
    }
    golden("stop-host", &rig.run(&["stop", "host", "quiet-reed"]).await);
}

#[tokio::test(start_paused = true)]
async fn one_of_several_hosts_is_chosen_by_name_and_prefix() {
    let mut rig = Rig::with_host(|_| done(json!([]))).await;
    rig.add_host("loud-reed", OTHER_HOST, |_| done(json!([]))).await;
    for wanted in ["quiet-reed", "NAB2", HOST] {
        let ran = rig.run(&["start", "provider", "httpserver", "--host", wanted]).await;
        assert_eq!(ran.code, 0, "{wanted}: {ran}");
    }
    // What is every host's is asked of any.
    assert_eq!(rig.run(&["link", "query"]).await.code, 0);
}

#[tokio::test(start_paused = true)]
async fn spy_shows_events_and_invocations() {
    let rig = Rig::with_host(|_| Vec::new()).await;
    let bus = rig.bus.connect();
    // The scripted host stays silent to the watch, as a real one does until it is over.
    let mut watches = bus.subscribe("wasmbus.ctl.v1.default.wattle.watch.*", None).await.unwrap();
    let show = async {
        let watch = watches.next().await.unwrap();
        let Command::Watch { subject, .. } = serde_json::from_slice(&watch.payload).unwrap() else {
            panic!("no watch")
        };
        let call = json!({ "origin": "httpserver", "target": ACTOR, "operation": "HttpServer.HandleRequest",
            "request_len": 120, "response_len": 17, "elapsed_us": 310 });
        bus.publish(&subject, None, &[], call.to_string().into()).await.unwrap();
        bus.publish(&subject, None, &[], "not json".into()).await.unwrap();
        let failed = json!({ "origin": ACTOR, "target": "store", "contract": "wasmcloud:keyvalue",
            "operation": "KeyValue.Increment", "request_len": 9, "response_len": 0, "elapsed_us": 12345,
            "error": "provider_unavailable" });
        bus.publish(&subject, None, &[], failed.to_string().into()).await.unwrap();
    };
    let arguments = ["spy", "--count", "2", "--invocations"];
    let (ran, ()) = tokio::join!(rig.run(&arguments), show);
    golden("spy", &ran);

    let event = json!({ "specversion": "1.0", "type": "com.wasmcloud.lattice.provider_stopped", "source": "N",
        "datacontenttype": "application/json", "id": "1", "time": "2026-09-21T00:00:00Z",
        "data": { "provider_id": "store" } });
    let tell = async {
        let subject = subject::event(&Default::default(), "provider_stopped");
        loop {
            bus.publish(&subject, None, &[], event.to_string().into()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let ran = tokio::select! {
        ran = rig.run(&["spy", "--events", "--count", "1", "-o", "json"]) => ran,
        () = tell => unreachable!("it never ends"),
    };
    assert_eq!(ran.json()["seen"], "event", "{ran}");
    assert_eq!(rig.run(&["spy", "--seconds", "1"]).await.code, 0);
}

#[tokio::test]
async fn keys_and_claims() {
    let rig = Rig::new();
    rig.file("counter.wasm", MODULE);
    golden("keys-list-empty", &rig.run(&["keys", "list"]).await);
    golden("keys-gen", &rig.run(&["keys", "gen", "account", "--name", "mine"]).await);
    let sign = [
        "claims",
        "sign",
        "counter.wasm",
        "--name",
        "Counter",
        "--issuer",
        "mine",
        "--rev",
        "2",
        "--ver",
        "0.2.0",
        "--cap",
        "wasmcloud:keyvalue",
        "--cap",
        "wasmcloud:httpserver",
        "--call-alias",
        "tally",
        "--tag",
        "demo",
        "--expires-in-days",
        "30",
    ];
    golden("claims-sign", &rig.run(&sign).await);
    golden("keys-list", &rig.run(&["keys", "list"]).await);
    golden("keys-get", &rig.run(&["keys", "get", "mine_account"]).await);
    golden("claims-inspect", &rig.run(&["claims", "inspect", "counter_s.wasm"]).await);
    golden("claims-inspect-json", &rig.run(&["claims", "inspect", "counter_s.wasm", "-o", "json"]).await);
    // The same name is the same actor.
    let first = rig.run(&[&sign[..], &["-o", "json"]].concat()).await.json();
    let second = rig.run(&[&sign[..], &["--rev", "3", "-o", "json"]].concat()).await;
    assert_eq!(second.code, 2, "an option given twice: {second}");
    let second =
        rig.run(&["claims", "sign", "counter.wasm", "--name", "Counter", "--rev", "3", "-o", "json"]).await.json();
    assert_eq!(first["subject"], second["subject"]);
}

#[tokio::test]
async fn a_changed_module_is_found_out() {
    let rig = Rig::new();
    rig.file("a.wasm", MODULE);
    assert_eq!(rig.run(&["claims", "sign", "a.wasm"]).await.code, 0);
    let mut bytes = std::fs::read(rig.path("a_s.wasm")).unwrap();
    // An empty custom section: harmless, but not what was signed.
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    rig.file("changed.wasm", &bytes);
    golden("claims-inspect-changed", &rig.run(&["claims", "inspect", "changed.wasm", "--strict"]).await);
    let ran = rig.run(&["claims", "inspect", "changed.wasm", "--strict", "-o", "json"]).await;
    assert_eq!((ran.code, &ran.json()["valid"]), (3, &json!(false)));
}

#[tokio::test]
async fn tokens_chain_from_operator_to_account() {
    let rig = Rig::new();
    golden(
        "claims-token-operator",
        &rig.run(&["claims", "token", "operator", "--name", "Acme", "--subject", "acme"]).await,
    );
    let account =
        ["claims", "token", "account", "--name", "Shop", "--issuer", "acme", "--subject", "shop", "--out", "shop.jwt"];
    golden("claims-token-account", &rig.run(&account).await);
    let ran = rig.run(&["claims", "inspect", "shop.jwt", "-o", "json"]).await.json();
    assert_eq!((&ran["kind"], &ran["valid"]), (&json!("account"), &json!(true)));
    for kind in ["cluster", "host", "provider"] {
        let ran = rig.run(&["claims", "token", kind, "--name", "x", "--contract", "a:b", "-o", "json"]).await;
        assert_eq!(ran.json()["kind"], kind, "{ran}");
    }
}

#[tokio::test]
async fn a_seed_is_shown_only_when_asked_for() {
    let rig = Rig::new();
    let gen_key = rig.run(&["keys", "gen", "operator"]).await;
    let seed = std::fs::read_to_string(rig.path(".wattle/keys/default_operator.nk")).unwrap();
    let shown =
        [gen_key, rig.run(&["keys", "list"]).await, rig.run(&["keys", "get", "default_operator", "-o", "json"]).await];
    assert!(shown.iter().all(|ran| !ran.to_string().contains(seed.trim())));
    let ran = rig.run(&["keys", "get", "default_operator", "--seed"]).await;
    assert!(ran.out.contains(seed.trim()), "{ran}");
}

#[tokio::test]
async fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Rig::new().run(&["completions", shell]).await;
        assert!(ran.out.contains("inventory") && ran.err.is_empty(), "{shell}");
    }
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_the_command_quietly() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rig = Rig::new();
    let err = Sink::default();
    let code = rig.run_into(&["keys", "gen", "user"], Arc::new(NoHost), Box::new(Gone), Box::new(err.clone())).await;
    assert_eq!((code, err.text()), (0, String::new()));
}

#[tokio::test(start_paused = true)]
async fn top_shows_what_happened_between_two_looks() {
    let looks = std::sync::atomic::AtomicU64::new(0);
    let rig = Rig::with_host(move |command| {
        assert_eq!(*command, Command::GetLoad);
        let look = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let slot = |id: &str, name: Option<&str>, calls: u64| {
            json!({ "id": id, "name": name, "generation": 2, "in_flight": 7, "waiting": 1, "calls": calls * look,
                "failed": 10 * look, "latency": [[128, calls * look / 2], [20_480, calls * look / 2]] })
        };
        done(json!({ "host_id": HOST, "friendly_name": "quiet-reed", "at_ms": 1000 + 2000 * look,
            "resident_bytes": 64 << 20, "actors": [slot(ACTOR, Some("Counter"), 2400)],
            "providers": [slot("store", None, 100)], "left_out": 3 }))
    })
    .await;
    golden("top", &rig.run(&["top", "--once"]).await);
    golden("top-json", &rig.run(&["top", "--count", "1", "-o", "json"]).await);
    let twice = rig.run(&["top", "--count", "2", "--rows", "1"]).await;
    assert_eq!(twice.out.matches("Counter").count(), 2, "{twice}");
    assert!(!twice.out.contains("store"), "{twice}");
}
