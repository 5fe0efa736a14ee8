//! What people get wrong first, and what they are told.

use std::{net::TcpListener, sync::Arc};

use wattle_bus::Bus as _;
use wattle_types::control::{Command, Progress};

use super::rig::{ACTOR, HOST, NoHost, OTHER_HOST, PROVIDER, Rig, ScriptedHost, done, golden};
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
async fn durable_writes_of_a_nats_that_up_does_not_start() {
    let up = ["up", "--durable-writes", "--nats-url", "nats://nats.example:4222"];
    check("durable-writes-elsewhere", &Rig::new(), &up).await;
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

fn refused(code: &'static str, message: &'static str, remedy: &'static str) -> Vec<Progress> {
    vec![Progress::Failed { code: code.into(), message: message.into(), remedy: Some(remedy.into()) }]
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_there_already() {
    let rig = Rig::with_host(|_| {
        let message = "the link is there already, to provider store";
        refused("link_conflict", message, "replace it with: wattle link put ... --replace")
    })
    .await;
    let put = ["link", "put", "Counter", "cache", "wasmcloud:keyvalue", "url=redis://db", "prefix=a b"];
    check("link-conflict", &rig, &put).await;
}

#[tokio::test(start_paused = true)]
async fn mistyped_contracts_and_kinds() {
    let rig = Rig::with_host(|command| match command {
        Command::PutLink { .. } => refused(
            "capability_not_claimed",
            "Counter does not claim wasmcloud:keyvaleu",
            "check the contract's spelling, or sign the module with the claim",
        ),
        _ => refused(
            "provider_unknown",
            "\"builtin:keyvalue-reds\" names no provider; this host has builtin:httpserver, builtin:keyvalue-redis",
            "use one of those, or the path of a provider archive (.par, .par.gz)",
        ),
    })
    .await;
    check("mistyped-contract", &rig, &["link", "put", "Counter", "store", "wasmcloud:keyvaleu"]).await;
    check("mistyped-kind", &rig, &["start", "provider", "keyvalue-reds"]).await;
    check("mistyped-code", &rig, &["explain", "claims_mising"]).await;
    check("mistyped-actor", &rig, &["stop", "actor", "Conter"]).await;
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    let signed = rig.run(&["claims", "sign", "m.wasm", "--cap", "wasmcloud:http-server"]).await;
    assert!(signed.code == 0 && signed.err.contains("did you mean wasmcloud:httpserver?"), "{signed}");
}

#[tokio::test(start_paused = true)]
async fn an_actor_nobody_knows_is_unlinked() {
    let rig = Rig::with_host(|_| done(serde_json::json!([]))).await;
    check("unknown-link", &rig, &["link", "del", "Conter", "wasmcloud:keyvalue"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_two_providers_have() {
    let providers = ["A", "Q"].map(|last| format!("{}{last}", &PROVIDER[..55]));
    let links = providers.map(|provider| {
        serde_json::json!({ "actor": ACTOR, "contract": "a:b", "link_name": provider[55..], "provider": provider,
            "values": {} })
    });
    let rig = Rig::with_host(move |_| done(serde_json::json!(links))).await;
    check("two-providers", &rig, &["stop", "provider", &PROVIDER[..12]]).await;
}

#[tokio::test]
async fn what_is_no_file_of_ours() {
    let rig = Rig::new();
    check("oci-reference", &rig, &["start", "actor", "ghcr.io/acme/counter:1.0"]).await;
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    check("no-key-file", &rig, &["claims", "sign", "m.wasm", "--issuer", "./acme.nk"]).await;
    check("no-logs", &rig, &["logs"]).await;
    let mut bytes = vec![b'\xf1'; 1024];
    bytes[257..262].copy_from_slice(b"ustar");
    rig.file("broken.par", &bytes);
    check("broken-archive", &rig, &["claims", "inspect", "broken.par"]).await;
}

#[tokio::test]
async fn claims_that_have_ended() {
    let mut rig = Rig::new();
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    assert_eq!(rig.run(&["claims", "sign", "m.wasm", "--expires-in-days", "1"]).await.code, 0);
    rig.now += 40 * 24 * 3600;
    let ran = rig.run(&["claims", "inspect", "m_s.wasm", "--strict"]).await;
    assert_eq!(ran.code, 3, "{ran}");
    golden("mistake-claims-ended", &ran);
}

/// Makes a rig whose NATS lets nobody in, and where a host left its state.
fn locked_out(run_dir: &str) -> Rig {
    let mut rig = Rig::new();
    rig.connect = Arc::new(|_| {
        let why = "nats://127.0.0.1:4222: authorization violation";
        Box::pin(async move { Err(wattle_bus::BusError::Disconnected(why.into()).into()) })
    });
    std::fs::create_dir_all(rig.path(run_dir)).unwrap();
    let creds = rig.path(run_dir).join("nats/nats.creds");
    let state = serde_json::json!({ "pid": 1, "host_id": HOST, "friendly_name": "quiet-reed", "lattice": "default",
        "nats_url": "nats://127.0.0.1:4222", "nats_creds": creds, "owns_nats": true, "version": "0" });
    rig.file(&format!("{run_dir}/host.json"), state.to_string());
    rig
}

/// Lets a host run from there.
fn hold(rig: &Rig, run_dir: &str) -> std::fs::File {
    let lock = std::fs::File::create(rig.path(run_dir).join("host.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[tokio::test]
async fn the_nats_of_a_host_on_this_machine_lets_nobody_else_in() {
    let rig = locked_out(".local/state/wattle/default");
    check("killed-host", &rig, &["get", "hosts"]).await;
    let running = hold(&rig, ".local/state/wattle/default");
    check("other-lattice", &rig, &["get", "hosts", "--lattice", "shop"]).await;
    check("other-run-dir", &rig, &["get", "hosts", "--run-dir", "elsewhere"]).await;
    let url = ["get", "hosts", "--lattice", "shop", "--nats-url", "nats://localhost:4222"];
    check("nats-url-alone", &rig, &url).await;
    drop(running);
    let elsewhere = rig.run(&["get", "hosts", "--nats-url", "nats://nats.example:4222"]).await;
    assert!(!elsewhere.err.contains("quiet-reed"), "{elsewhere}");
}

#[tokio::test]
async fn inboxes_of_another_role() {
    let mut rig = Rig::new();
    rig.connect = Arc::new(|_| {
        let refused = wattle_bus::BusError::NotAllowed { subject: "_INBOX.wattle.all.x".into() };
        Box::pin(async move { Err(refused.into()) })
    });
    check("wrong-inbox", &rig, &["get", "hosts"]).await;
}

/// What people got wrong in their first hour, numbered in the order they met it; each has its golden file.
const FIRST_HOUR: [(u8, &str, &str); 44] = [
    (1, "start a host on a machine without nats-server", "no-nats-server"),
    (2, "start a host while its port is taken", "port-taken"),
    (3, "start a second host in the same place", "already-up"),
    (4, "name an account that is none to trust", "bad-trust"),
    (5, "ask where no NATS runs", "no-nats"),
    (6, "ask where no host runs", "no-host"),
    (7, "ask after the host was killed and its NATS stayed", "killed-host"),
    (8, "ask with another lattice's name", "other-lattice"),
    (9, "ask with another run directory", "other-run-dir"),
    (10, "follow the advice to give --nats-url, and nothing else", "nats-url-alone"),
    (11, "have inboxes of another role", "wrong-inbox"),
    (12, "say in two ways who one is", "two-users"),
    (13, "give a certificate without its key", "certificate-without-key"),
    (14, "leave out the authority of NATS's certificate", "unknown-authority"),
    (15, "mistype a command", "typo"),
    (16, "start a module nobody signed", "unsigned-start"),
    (17, "inspect a module nobody signed", "unsigned-inspect"),
    (18, "sign what is no module", "not-wasm"),
    (19, "sign a component", "a-component"),
    (20, "inspect a file without claims", "not-claims"),
    (21, "inspect a damaged archive", "broken-archive"),
    (22, "inspect claims that have ended", "claims-ended"),
    (23, "start a file that is not there", "no-file"),
    (24, "start a directory", "start-a-directory"),
    (25, "start an OCI image", "oci-reference"),
    (26, "start an address without its digest", "no-digest"),
    (27, "name a key file that is not there", "no-key-file"),
    (28, "name a key nobody made", "unknown-key"),
    (29, "make a key twice", "key-exists"),
    (30, "sign with a key of the wrong kind", "wrong-key"),
    (31, "mistype the kind of a provider", "mistyped-kind"),
    (32, "mistype a contract", "mistyped-contract"),
    (33, "write a contract that cannot be one", "bad-contract"),
    (34, "link what is linked already, to another provider", "link-conflict"),
    (35, "unlink an actor that nobody knows", "unknown-link"),
    (36, "begin a provider's id as two begin", "two-providers"),
    (37, "give a link a value without its name", "no-equals"),
    (38, "call an actor that does not run", "unknown-actor"),
    (39, "mistype an actor", "mistyped-actor"),
    (40, "call with what is no JSON", "bad-json"),
    (41, "stop what is declared", "stop-declared"),
    (42, "mistype the code of an error", "mistyped-code"),
    (43, "look for a configuration that is not there", "no-config"),
    (44, "look for the log of a host that does not run", "no-logs"),
];

#[test]
fn every_mistake_of_the_first_hour_has_a_golden_file() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/golden");
    let mut names = std::collections::BTreeSet::new();
    for (at, (number, what, name)) in FIRST_HOUR.into_iter().enumerate() {
        assert_eq!(usize::from(number), at + 1, "{what}");
        assert!(names.insert(name), "{name} twice");
        let text = std::fs::read_to_string(golden.join(format!("mistake-{name}.snap"))).expect(what);
        assert!(["hint:", "--help", "A host would refuse it"].iter().any(|what_now| text.contains(what_now)), "{text}");
    }
}

#[tokio::test]
async fn a_capability_named_twice_is_claimed_once() {
    let rig = Rig::new();
    rig.file("m.wasm", b"\0asm\x01\0\0\0");
    let ran =
        rig.run(&["claims", "sign", "m.wasm", "--cap", "a:b", "--cap", "c:d", "--cap", "a:b", "-o", "json"]).await;
    assert_eq!(ran.json()["capabilities"], serde_json::json!(["a:b", "c:d"]), "{ran}");
}
