//! Several hosts: what goes to any of them, to all, to the one that runs it, and what is the lattice's to do.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use wattle_bus::{Bus as _, Subscription};
use wattle_types::control::{Canary, Command, Progress, Scale, SpreadGroup};

use super::rig::{ACTOR, HOST, OTHER_HOST, PROVIDER, Rig, done, golden, step};

/// A module that does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What was sent to scripted hosts, and to which.
type Sent = Arc<Mutex<Vec<(&'static str, Command)>>>;

/// Answers commands but for what is declared.
type Script = Arc<dyn Fn(&Command) -> Vec<Progress> + Send + Sync>;

/// Makes a lattice of two hosts: `quiet-reed` runs an actor and a provider, `loud-reed` runs them too, or nothing.
async fn two(both_run: bool, declared: Value, script: Script) -> (Rig, Sent) {
    let sent = Sent::default();
    let answer = |host: &'static str| {
        let (sent, declared, script) = (Arc::clone(&sent), declared.clone(), Arc::clone(&script));
        move |command: &Command| {
            if *command == Command::GetDeclared {
                return done(declared.clone());
            }
            sent.lock().unwrap().push((host, command.clone()));
            script(command)
        }
    };
    let mut rig = Rig::with_host(answer(HOST)).await;
    if both_run {
        rig.add_host("loud-reed", OTHER_HOST, answer(OTHER_HOST)).await;
    } else {
        rig.add_idle_host("loud-reed", OTHER_HOST, answer(OTHER_HOST)).await;
    }
    rig.file("counter2_s.wasm", MODULE);
    (rig, sent)
}

fn yes(result: Value) -> Script {
    Arc::new(move |_| done(result.clone()))
}

fn counter(rollout: &str) -> Value {
    json!([{ "kind": "actor", "id": ACTOR, "reference": "file:///counter_s.wasm", "replicas": 2,
        "hosts": [HOST], "rollout": rollout, "reason": format!("calls fail on {HOST}"),
        "constraints": { "disk": "ssd" }, "spread": [{ "labels": { "zone": "a" }, "weight": 2 }],
        "why": [format!("{OTHER_HOST}: there is no file /counter_s.wasm")] }])
}

#[tokio::test(start_paused = true)]
async fn scaling_an_actor() {
    let steps = Arc::new(|_: &Command| {
        let result = json!({ "actor": ACTOR });
        let steps = [step("declared", "to run on 3 hosts", 2), step("running", "on 3 of 3 hosts", 80)];
        steps.into_iter().chain(done(result)).collect()
    });
    let (rig, sent) = two(false, json!([]), steps).await;
    let scale = ["scale", "actor", "counter2_s.wasm", "--replicas", "3", "--spread", "zone=a:2", "--spread", "zone=b"];
    let more = ["--constraint", "disk=ssd", "--max-in-flight", "8", "--annotation", "team=shop"];
    golden("scale-actor", &rig.run(&[&scale[..], &more].concat()).await);
    let (_, Command::DeclareActor { reference, scale, max_in_flight, .. }) = sent.lock().unwrap()[0].clone() else {
        panic!("{sent:?}")
    };
    assert!(reference.ends_with("/counter2_s.wasm"), "{reference}");
    assert_eq!((scale.replicas, max_in_flight, scale.constraints["disk"].as_str()), (3, Some(8), "ssd"));
    let group = |zone: &str, weight| SpreadGroup { labels: [("zone".into(), zone.into())].into(), weight };
    assert_eq!(scale.spread, [group("a", 2), group("b", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_can_be_named_to_scale_it() {
    let (rig, sent) = two(false, counter("done"), yes(json!({ "actor": ACTOR }))).await;
    golden("scale-actor-to-nothing", &rig.run(&["scale", "actor", "tally", "--replicas", "0"]).await);
    let scale = Scale::default();
    let wanted = Command::DeclareActor {
        reference: "file:///counter_s.wasm".into(),
        scale,
        max_in_flight: None,
        force: false,
        timeout_ms: None,
    };
    assert_eq!(sent.lock().unwrap()[0].1, wanted);
    let ran = rig.run(&["scale", "actor", "Conter", "--replicas", "0"]).await;
    assert!(ran.code == 2 && ran.err.contains("Conter") && ran.err.contains("wattle get declared"), "{ran}");
}

#[tokio::test(start_paused = true)]
async fn scaling_a_provider() {
    let (rig, sent) = two(false, json!([]), yes(json!({ "provider": "store" }))).await;
    let scale = ["scale", "provider", "keyvalue-redis", "--id", "store", "--replicas", "1", "--config", "pool=4"];
    golden("scale-provider", &rig.run(&[&scale[..], &["--config-name", "store"]].concat()).await);
    let (_, Command::DeclareProvider { reference, provider, config, configs, scale, .. }) =
        sent.lock().unwrap()[0].clone()
    else {
        panic!("{sent:?}")
    };
    assert_eq!((reference.as_str(), provider.unwrap().as_str()), ("builtin:keyvalue-redis", "store"));
    assert_eq!((config["pool"].as_str(), configs, scale.replicas), ("4", vec!["store".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn scaling_says_why_it_is_not_so_and_obeys_the_timeout() {
    let failed = |_: &Command| {
        vec![Progress::Failed {
            code: "not_scaled".into(),
            message: format!("{ACTOR} runs on 0 of 1 hosts as declared; it stays declared: {HOST}: no such file"),
            remedy: Some("see what runs where, and why: wattle get declared".into()),
        }]
    };
    let (rig, sent) = two(false, json!([]), Arc::new(failed)).await;
    let scale = ["scale", "actor", "counter2_s.wasm", "--replicas", "1", "--timeout", "7", "--force"];
    golden("mistake-not-scaled", &rig.run(&scale).await);
    let declared = sent.lock().unwrap()[0].1.clone();
    assert!(matches!(declared, Command::DeclareActor { timeout_ms: Some(7_000), force: true, .. }), "{declared:?}");
}

/// A host may be silent for a minute before it tells that the scale is not reached.
#[tokio::test(start_paused = true)]
async fn scaling_is_waited_for_as_long_as_the_host_waits() {
    let rig = Rig::new();
    let bus = rig.bus.connect();
    let mut pings = bus.subscribe("wasmbus.ctl.v1.default.host.ping", None).await.unwrap();
    let mut declarations = bus.subscribe("wasmbus.ctl.v1.default.wattle.declare_provider.*", None).await.unwrap();
    let host = async {
        let host = json!({ "id": HOST, "friendly_name": "quiet-reed", "lattice": "default", "uptime_seconds": 1 });
        let ping = pings.next().await.unwrap();
        let pong = json!({ "success": true, "message": "", "response": host });
        bus.publish(&ping.reply.unwrap(), None, &[], pong.to_string().into()).await.unwrap();
        let declaration = declarations.next().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        let outcome = Progress::Failed { code: "not_scaled".into(), message: "0 of 1".into(), remedy: None };
        let body = serde_json::to_vec(&outcome).unwrap();
        bus.publish(&declaration.reply.unwrap(), None, &[], body.into()).await.unwrap();
    };
    let scale = ["scale", "provider", "httpserver", "--replicas", "1", "-o", "json"];
    let (ran, ()) = tokio::join!(rig.run(&scale), host);
    assert_eq!((ran.code, &ran.json()["error"]["code"]), (4, &json!("not_scaled")), "{ran}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_one_host_is_updated_there_and_else_rolled_out() {
    let update = ["update", "actor", "Counter", "counter2_s.wasm"];
    let target = json!({ "target": ACTOR });
    // By hand, on one host.
    let (rig, sent) = two(false, json!([]), yes(json!({}))).await;
    assert_eq!(rig.run(&update).await.code, 0);
    assert!(matches!(&sent.lock().unwrap()[..], [(HOST, Command::UpdateActor { .. })]), "{sent:?}");
    // By hand, on two: on one of them only when it is named.
    let (rig, sent) = two(true, json!([]), yes(target.clone())).await;
    assert_eq!(rig.run(&[&update[..], &["--host", "loud-reed"]].concat()).await.code, 0);
    assert!(matches!(&sent.lock().unwrap()[..], [(OTHER_HOST, Command::UpdateActor { .. })]), "{sent:?}");
    sent.lock().unwrap().clear();
    assert_eq!(rig.run(&update).await.code, 0);
    let rolled = |sent: &Sent, wanted: Option<Canary>| match &sent.lock().unwrap()[..] {
        [(_, Command::StartRollout { target, canary, force: false, .. })] => target == ACTOR && *canary == wanted,
        _ => false,
    };
    assert!(rolled(&sent, None), "{sent:?}");
    // Declared.
    let (rig, sent) = two(false, counter("done"), yes(target.clone())).await;
    assert_eq!(rig.run(&update).await.code, 0);
    assert!(rolled(&sent, None), "{sent:?}");
    // Tried first.
    let (rig, sent) = two(false, json!([]), yes(target)).await;
    let canary = ["--canary", "10%", "--watch", "5", "--max-errors", "1.5", "--max-slower", "2"];
    assert_eq!(rig.run(&[&update[..], &canary].concat()).await.code, 0);
    let wanted =
        Canary { percent: 10, watch_secs: Some(5), max_error_percent: Some(1.5), max_latency_factor: Some(2.0) };
    assert!(rolled(&sent, Some(wanted)), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn on_a_host_without_a_lattice_nothing_is_declared() {
    let rig = Rig::with_host(|command| match command {
        Command::GetDeclared => vec![Progress::Failed {
            code: "no_lattice".into(),
            message: "the host is on no lattice".into(),
            remedy: None,
        }],
        _ => done(json!({})),
    })
    .await;
    assert_eq!(rig.run(&["stop", "actor", "Counter"]).await.code, 0);
    assert_eq!(rig.run(&["get", "declared", "-o", "json"]).await.json(), json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_rolled_out_with_its_configuration() {
    let (rig, sent) = two(true, json!([]), yes(json!({ "target": "store" }))).await;
    let update = ["update", "provider", "store", "keyvalue-redb"];
    golden("update-provider-everywhere", &rig.run(&update).await);
    assert!(matches!(&sent.lock().unwrap()[0].1, Command::StartRollout { target, .. } if target == "store"));
    golden("mistake-rollout-config", &rig.run(&[&update[..], &["--config", "path=x"]].concat()).await);
    // One that runs nowhere is for a host to name.
    let (rig, sent) = two(true, json!([]), yes(json!({}))).await;
    assert_eq!(rig.run(&["update", "provider", "none", "keyvalue-redb"]).await.code, 0);
    assert!(matches!(&sent.lock().unwrap()[0].1, Command::UpdateProvider { .. }), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_went_back_is_an_error_and_one_sent_back_is_none() {
    let failed = |command: &Command| {
        let steps = [
            step("canary", &format!("10 of 100 calls on {HOST} go to the new version"), 3),
            step("rolled_back", "on it 40 of 100 calls fail", 5000),
        ];
        let failed = Progress::Failed {
            code: "rolled_back".into(),
            message: format!("the rollout of {ACTOR} went back: on it 40 of 100 calls fail"),
            remedy: Some("mend the new version".into()),
        };
        let is_silent = matches!(command, Command::RollBack { target } if target == "store");
        if is_silent { Vec::new() } else { steps.into_iter().chain([failed]).collect() }
    };
    let (rig, sent) = two(true, json!([]), Arc::new(failed)).await;
    golden("rollout-rolled-back", &rig.run(&["rollout", "follow", "tally"]).await);
    golden("rollout-back", &rig.run(&["rollout", "back", "MAB2"]).await);
    golden("rollback", &rig.run(&["rollback", "Counter"]).await);
    let wanted = [
        Command::FollowRollout { target: ACTOR.into() },
        Command::RollBack { target: ACTOR.into() },
        Command::RollBack { target: ACTOR.into() },
    ];
    assert!(sent.lock().unwrap().iter().map(|(_, command)| command).eq(&wanted), "{sent:?}");
    // Nothing was heard, so nothing is known.
    let ran = rig.run(&["rollback", "store"]).await;
    assert!(ran.code == 4 && ran.err.contains("wattle rollout follow store"), "{ran}");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_is_watched_on_when_its_teller_falls_silent() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let script = move |command: &Command| match command {
        Command::StartRollout { .. } => vec![step("updating", "a", 1)],
        Command::FollowRollout { .. } if count.fetch_add(1, Ordering::SeqCst) == 0 => vec![step("updating", "a", 1)],
        _ => [step("done", "b", 2)].into_iter().chain(done(json!({ "target": ACTOR }))).collect(),
    };
    let (rig, _) = two(true, json!([]), Arc::new(script)).await;
    golden("rollout-watched-on", &rig.run(&["update", "actor", "Counter", "counter2_s.wasm"]).await);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn control_c_leaves_a_rollout_to_the_lattice() {
    let (mut rig, _) = two(true, json!([]), Arc::new(|_| vec![step("updating", "a", 1)])).await;
    rig.interrupt = Arc::new(|| {
        Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            Ok(())
        })
    });
    let update = ["update", "actor", "Counter", "counter2_s.wasm"];
    golden("rollout-interrupted", &rig.run(&update).await);
    let ran = rig.run(&[&update[..], &["-o", "json"]].concat()).await;
    assert_eq!((ran.code, &ran.json()["error"]["code"]), (4, &json!("still_going")), "{ran}");
}

#[tokio::test(start_paused = true)]
async fn draining_a_host() {
    let script = Arc::new(|_: &Command| {
        let steps = [step("draining", "takes no new work", 0), step("moved", "everything runs elsewhere", 300)];
        steps.into_iter().chain(done(json!({}))).collect()
    });
    let (rig, sent) = two(true, json!([]), script).await;
    golden("drain-host", &rig.run(&["drain", "host", "loud-reed"]).await);
    assert_eq!(rig.run(&["drain", "host", "quiet-reed", "--timeout", "5"]).await.code, 0);
    let wanted =
        [(OTHER_HOST, Command::DrainHost { timeout_ms: None }), (HOST, Command::DrainHost { timeout_ms: Some(5000) })];
    assert_eq!(*sent.lock().unwrap(), wanted);
    assert_eq!(rig.run(&["drain", "host"]).await.code, 2, "it must be said which");
    // A host that is not there is not waited for.
    let begun = tokio::time::Instant::now();
    let nobody = wattle_wascap::KeyPair::generate(wattle_wascap::KeyKind::Host).unwrap().public_key().to_string();
    let ran = rig.run(&["drain", "host", &nobody, "-o", "json"]).await;
    assert_eq!((ran.code, &ran.json()["error"]["code"]), (3, &json!("host_not_found")), "{ran}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn stopping_says_where_or_why_not() {
    let (rig, sent) = two(true, json!([]), yes(json!({}))).await;
    golden("mistake-stop-on-which-host", &rig.run(&["stop", "actor", "Counter"]).await);
    assert_eq!(rig.run(&["stop", "actor", "Counter", "--host", "loud-reed"]).await.code, 0);
    assert!(matches!(&sent.lock().unwrap()[..], [(OTHER_HOST, Command::StopActor { .. })]), "{sent:?}");
    let (rig, sent) = two(true, counter("done"), yes(json!({}))).await;
    golden("mistake-stop-declared", &rig.run(&["stop", "actor", "Counter"]).await);
    assert!(sent.lock().unwrap().is_empty());
    let (rig, sent) = two(false, json!([]), yes(json!({}))).await;
    assert_eq!(rig.run(&["stop", "provider", "store"]).await.code, 0);
    assert!(matches!(&sent.lock().unwrap()[..], [(HOST, Command::StopProvider { .. })]), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_a_host_that_runs_the_actor() {
    let (rig, sent) = two(false, json!([]), yes(json!({ "payload": "", "elapsed_us": 1 }))).await;
    assert_eq!(rig.run(&["call", "tally", "Say", "--raw"]).await.code, 0);
    assert!(matches!(&sent.lock().unwrap()[..], [(HOST, Command::Call { actor, .. })] if actor == ACTOR), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn all_hosts_and_what_is_declared_are_shown() {
    let (rig, _) = two(false, counter("rolled_back"), yes(json!({}))).await;
    for noun in ["hosts", "inventory", "declared"] {
        golden(&format!("get-{noun}-of-two"), &rig.run(&["get", noun]).await);
        golden(&format!("get-{noun}-of-two-json"), &rig.run(&["get", noun, "-o", "json"]).await);
    }
    let (rig, _) = two(false, json!([]), yes(json!({}))).await;
    golden("get-declared-empty", &rig.run(&["get", "declared"]).await);
}

#[tokio::test(start_paused = true)]
async fn all_hosts_are_watched() {
    let (rig, sent) = two(true, json!([]), Arc::new(|_| Vec::new())).await;
    assert_eq!(rig.run(&["spy", "--seconds", "1"]).await.code, 0);
    let mut hosts: Vec<_> = sent.lock().unwrap().iter().map(|(host, _)| *host).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, [HOST, OTHER_HOST]);
}

/// Returns what was sent on a subject of the control interface that begins like this.
async fn heard(heard: &mut Subscription) -> (String, Value) {
    let message = heard.next().await.unwrap();
    (message.subject, serde_json::from_slice(&message.payload).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn labels_and_configurations() {
    let rig = Rig::with_host(|_| done(json!({}))).await;
    let bus = rig.bus.connect();
    let mut labels = bus.subscribe("wasmbus.ctl.v1.default.label.*.*", None).await.unwrap();
    golden("label-put", &rig.run(&["label", "put", "quiet-reed", "zone=a"]).await);
    let put = (format!("wasmbus.ctl.v1.default.label.put.{HOST}"), json!({ "key": "zone", "value": "a" }));
    assert_eq!(heard(&mut labels).await, put);
    golden("label-delete", &rig.run(&["label", "delete", "NAB2", "zone"]).await);
    let delete = (format!("wasmbus.ctl.v1.default.label.del.{HOST}"), json!({ "key": "zone" }));
    assert_eq!(heard(&mut labels).await, delete);

    let mut configs = bus.subscribe("wasmbus.ctl.v1.default.wattle.ask.*", None).await.unwrap();
    golden("config-put", &rig.run(&["config", "put", "store", "url=redis://:secret@db"]).await);
    let asked = json!({ "verb": "ask", "of": "config.put.store", "body": { "url": "redis://:secret@db" } });
    let put = (format!("wasmbus.ctl.v1.default.wattle.ask.{HOST}"), asked);
    assert_eq!(heard(&mut configs).await, put);
    golden("config-get", &rig.run(&["config", "get", "store"]).await);
    golden("config-get-values", &rig.run(&["config", "get", "store", "--values", "-o", "json"]).await);
    golden("config-delete", &rig.run(&["config", "delete", "store"]).await);
    golden("mistake-no-config", &rig.run(&["config", "get", "none"]).await);
    golden("mistake-config-twice", &rig.run(&["config", "put", "store", "url=a", "url=b"]).await);
    for twice in [
        &["label", "put", "quiet-reed", "zone=a", "zone=b"][..],
        &["scale", "provider", "httpserver", "--replicas", "1", "--constraint", "zone=a", "--constraint", "zone=b"],
        &["scale", "provider", "httpserver", "--replicas", "1", "--spread", "zone=a,zone=b"],
        &["start", "provider", "httpserver", "--annotation", "a=1", "--annotation", "a=2"],
        &["up", "--label", "zone=a", "--label", "zone=b"],
    ] {
        let ran = rig.run(twice).await;
        assert!(ran.code == 2 && ran.err.contains("is given twice"), "{ran}");
    }
    golden("mistake-config-name", &rig.run(&["config", "get", "a*"]).await);
}

#[tokio::test(start_paused = true)]
async fn a_link_may_follow_a_configuration() {
    let rig = Rig::with_host(|_| Vec::new()).await;
    let mut links = rig.bus.connect().subscribe("wasmbus.ctl.v1.default.wattle.ask.*", None).await.unwrap();
    let put = ["link", "put", "Counter", "store", "wasmcloud:keyvalue", "--config-name", "store"];
    golden("link-put-config", &rig.run(&put).await);
    let wanted = json!({ "source_id": ACTOR, "target": "store", "name": "default", "wit_namespace": "wasmcloud",
        "wit_package": "keyvalue", "interfaces": ["keyvalue"], "source_config": [], "target_config": ["store"] });
    assert_eq!(heard(&mut links).await.1, json!({ "verb": "ask", "of": "link.put", "body": wanted }));
    assert_eq!(rig.run(&[&put[..], &["url=x"]].concat()).await.code, 2, "values and a configuration");
}

#[tokio::test(start_paused = true)]
async fn a_link_is_served_wherever_the_provider_runs() {
    let (rig, _) = two(false, json!([]), yes(json!({ "served": false }))).await;
    let ran = rig.run(&["link", "put", ACTOR, "store", "wasmcloud:keyvalue", "-o", "json"]).await;
    assert_eq!(ran.json()["served"], true, "{ran}");
    let ran = rig.run(&["link", "put", ACTOR, "cache", "wasmcloud:keyvalue"]).await;
    assert!(ran.code == 0 && ran.err.contains("provider cache is not running"), "{ran}");
}

/// Two links: of an actor that was stopped and is known by its claims, and of one known by nothing else.
fn leftovers() -> Value {
    let link = |actor: &str, provider: &str| {
        json!({ "actor": actor, "contract": "wasmcloud:keyvalue", "link_name": "default", "provider": provider,
            "values": {} })
    };
    json!([link(ACTOR, PROVIDER), link(GONE, "store")])
}

const GONE: &str = "MBLKCB57BTHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QUUY";

#[tokio::test(start_paused = true)]
async fn links_of_what_does_not_run_go_by_name_alias_and_beginning() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let script = move |command: &Command| match command {
        Command::GetLinks => done(leftovers()),
        command => {
            seen.lock().unwrap().push(command.clone());
            done(json!({ "served": true }))
        }
    };
    let mut rig = Rig::new();
    rig.add_idle_host("quiet-reed", HOST, script).await;
    golden("link-query-leftovers", &rig.run(&["link", "ls"]).await);
    for (typed, meant) in [("Counter", ACTOR), ("tally", ACTOR), (&ACTOR[..12], ACTOR), (&GONE[..12], GONE)] {
        let ran = rig.run(&["link", "rm", typed, "wasmcloud:keyvalue"]).await;
        assert_eq!(ran.code, 0, "{typed}: {ran}");
        assert!(ran.out.starts_with(&format!("{typed} may not use")), "{ran}");
        let Some(Command::DeleteLink { link }) = sent.lock().unwrap().pop() else { panic!("{typed}") };
        assert_eq!(link.actor.to_string(), meant, "{typed}");
        let only = rig.run(&["link", "query", "--actor", typed, "-o", "json"]).await.json();
        assert_eq!((only.as_array().unwrap().len(), &only[0]["actor"]), (1, &json!(meant)), "{typed}");
    }
    let put = rig.run(&["link", "put", "tally", &PROVIDER[..12], "wasmcloud:keyvalue"]).await;
    assert_eq!(put.code, 0, "{put}");
    let Some(Command::PutLink { link, .. }) = sent.lock().unwrap().pop() else { panic!("{put}") };
    assert_eq!((link.key.actor.to_string().as_str(), link.provider.as_str()), (ACTOR, PROVIDER));
}

#[tokio::test(start_paused = true)]
async fn tables_fit_a_terminal_and_ids_are_whole_where_asked() {
    let script = |command: &Command| match command {
        Command::GetLinks => done(leftovers()),
        _ => done(counter("rolled_back")),
    };
    let mut rig = Rig::with_host(script).await;
    rig.add_host("loud-reed", OTHER_HOST, script).await;
    rig.columns = Some(80);
    let nouns = ["hosts", "inventory", "declared", "links", "claims", "actors", "providers"];
    for noun in nouns {
        let ran = rig.run(&["get", noun]).await;
        assert_eq!(ran.code, 0, "{ran}");
        assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{ran}");
        let whole = rig.run(&["get", noun, "--full-ids"]).await.out;
        let json = rig.run(&["get", noun, "-o", "json"]).await.out;
        let is_whole = |text: &str| [ACTOR, HOST].iter().any(|id| text.contains(id));
        assert!(!is_whole(&ran.out) && is_whole(&json), "{noun}: {ran}{json}");
        rig.columns = None;
        let wide = rig.run(&["get", noun, "--full-ids"]).await.out;
        assert!(noun == "providers" || is_whole(&wide), "{noun}: {whole}");
        rig.columns = Some(80);
    }
    golden("get-declared-narrow", &rig.run(&["get", "declared"]).await);
    golden("get-actors", &rig.run(&["get", "actors"]).await);
    golden("get-providers", &rig.run(&["get", "providers"]).await);
    assert_eq!(rig.run(&["ps"]).await.out, rig.run(&["get", "inventory"]).await.out);
}

#[tokio::test]
async fn what_people_look_for_is_there() {
    for line in [
        &["link", "list"][..],
        &["link", "ls"],
        &["link", "rm", "A", "c:d"],
        &["link", "delete", "A", "c:d"],
        &["config", "rm", "a"],
        &["config", "del", "a"],
        &["label", "rm", "a", "b"],
        &["get", "config", "a"],
        &["up", "-d"],
        &["up", "--detach"],
        &["ps"],
        &["inspect", "a.wasm"],
        &["logs", "Counter", "-f"],
    ] {
        let words = std::iter::once("wattle").chain(line.iter().copied()).map(std::ffi::OsString::from);
        assert!(crate::args::Cli::parse_line(&words.collect::<Vec<_>>()).is_ok(), "{line:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_is_shown_by_actor_and_followed() {
    let mut rig = Rig::with_host(|_| done(json!([]))).await;
    let folder = ".local/state/wattle/default";
    std::fs::create_dir_all(rig.path(folder)).unwrap();
    let log = rig.path(folder).join("host.log");
    std::fs::write(&log, format!("one Counter\ntwo Counters\nthree actor={ACTOR}\n\u{1b}[31mhalf")).unwrap();
    assert_eq!(rig.run(&["logs"]).await.out, format!("one Counter\ntwo Counters\nthree actor={ACTOR}\n"));
    assert_eq!(rig.run(&["logs", "tally", "-n", "1"]).await.out, format!("three actor={ACTOR}\n"));
    assert_eq!(rig.run(&["logs", "Counter"]).await.out, format!("one Counter\nthree actor={ACTOR}\n"));
    rig.interrupt = Arc::new(move || {
        let log = log.clone();
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let mut file = std::fs::File::options().append(true).open(&log).unwrap();
            std::io::Write::write_all(&mut file, b" is whole\nnext\n").unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            std::fs::remove_file(&log).unwrap();
            std::fs::write(&log, "another host\n").unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok(())
        })
    });
    let ran = rig.run(&["logs", "--follow", "--lines", "0"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "\u{fffd}[31mhalf is whole\nnext\nanother host\n"), "{ran}");
}
