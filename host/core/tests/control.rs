//! The control interface over a bus: theirs and ours.

mod auctions;
mod claims;
mod components;
mod configs;
mod deployers;
mod draining;
mod events;
mod labels;
mod load;
mod names;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use serde_json::{Value, json};
use wattle_bus::{Bus, BusError, MemoryBus, Subscription};
use wattle_host::{Host, HostConfig};
use wattle_types::{
    LatticeId,
    control::{Command, HostInventory, Progress, Reply},
    subject,
    wascap::{KeyKind, KeyPair},
};

use crate::support::{Author, KEYVALUE, Script, builder, link, start, start_script};

const PATIENCE: Duration = Duration::from_secs(30);

struct Lattice {
    host: Host,
    bus: Arc<MemoryBus>,
    author: Author,
    script: Arc<Script>,
    /// The seed of the hosts' cluster: hosts of others are not known.
    cluster: String,
    folder: tempfile::TempDir,
}

impl Lattice {
    async fn new() -> Self {
        Self::with(HostConfig::default()).await
    }

    async fn with(config: HostConfig) -> Self {
        let (author, script, bus) = (Author::new(), Arc::new(Script::default()), Arc::new(MemoryBus::new()));
        let cluster = KeyPair::generate(KeyKind::Cluster).unwrap();
        let seed = cluster.seed();
        let host = builder(&author, &script, config).cluster_key(cluster).bus(bus.clone()).start().await.unwrap();
        Self { host, bus, author, script, cluster: seed, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts another host of the same lattice.
    async fn join(&self, config: HostConfig) -> Host {
        let cluster = KeyPair::from_seed(&self.cluster).unwrap();
        let builder = builder(&self.author, &self.script, config).cluster_key(cluster);
        builder.bus(Arc::new(self.bus.connect())).start().await.unwrap()
    }

    /// Listens to the host's events.
    async fn events(&self) -> Events {
        Events(self.bus.subscribe("wasmbus.evt.default.*", None).await.unwrap())
    }

    fn file(&self, name: &str, module: Bytes) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, module).unwrap();
        format!("file://{}", path.display())
    }

    /// Sends a verb of the control interface v1.
    async fn ask(&self, verb: &str, addressed: bool, body: Value) -> Reply<Value> {
        let lattice = LatticeId::default();
        let subject = if addressed {
            subject::control_host(&lattice, verb, &self.host.id())
        } else {
            subject::control(&lattice, verb)
        };
        let answer = self.bus.request(&subject, &[], body.to_string().into(), PATIENCE).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    /// Sends a command of ours and collects its progress.
    async fn command(&self, command: Command) -> (Vec<String>, Progress) {
        let verb = serde_json::to_value(&command).unwrap()["verb"].as_str().unwrap().to_owned();
        let subject = subject::control_host(&LatticeId::default(), &format!("wattle.{verb}"), &self.host.id());
        let inbox = self.bus.new_inbox();
        let mut answers = self.bus.subscribe(&inbox, None).await.unwrap();
        let body = serde_json::to_vec(&command).unwrap();
        self.bus.publish(&subject, Some(&inbox), &[], body.into()).await.unwrap();
        let mut steps = Vec::new();
        loop {
            match serde_json::from_slice(&answers.next().await.unwrap().payload).unwrap() {
                Progress::Step { step, .. } => steps.push(step),
                outcome => return (steps, outcome),
            }
        }
    }
}

/// Events as they are on the bus.
struct Events(Subscription);

impl Events {
    /// Waits for the next event of this name and returns what it tells. Others may come before.
    async fn wait(&mut self, name: &str) -> Value {
        let wanted = format!("com.wasmcloud.lattice.{name}");
        let found = async {
            loop {
                let event: Value = serde_json::from_slice(&self.0.next().await.unwrap().payload).unwrap();
                if event["type"] == wanted {
                    return event["data"].clone();
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {name}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_answers_ping_and_inventory() {
    let lattice = Lattice::new().await;
    let ping = lattice.ask("host.ping", false, json!(null)).await;
    assert_eq!(ping.response.unwrap()["id"], lattice.host.id().to_string());
    let inventory = lattice.ask("host.get", true, json!(null)).await;
    let inventory: HostInventory = serde_json::from_value(inventory.response.unwrap()).unwrap();
    assert_eq!(inventory.host_id, lattice.host.id().to_string());
    let unknown = lattice.ask("component.scale", true, json!({"no": "sense"})).await;
    assert!(!unknown.success && unknown.message.starts_with("the request cannot be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_commands_tell_every_step() {
    let lattice = Lattice::new().await;
    let (v1, v2) = (lattice.author.echo("1:", 1), lattice.author.echo("2:", 2));
    let reference = lattice.file("v1.wasm", v1);
    let start =
        Command::StartActor { reference, max_in_flight: Some(7), annotations: Default::default(), declared: false };
    let (steps, outcome) = lattice.command(start).await;
    assert_eq!(steps.first().map(String::as_str), Some("fetched"));
    assert_eq!(steps.last().map(String::as_str), Some("published"));
    assert!(matches!(outcome, Progress::Done { .. }), "{outcome:?}");

    let actor = lattice.author.id().to_string();
    let reference = lattice.file("v2.wasm", v2);
    let (steps, outcome) =
        lattice.command(Command::UpdateActor { actor: actor.clone(), reference, force: false }).await;
    assert_eq!(steps.last().map(String::as_str), Some("drained"));
    assert!(matches!(outcome, Progress::Done { .. }), "{outcome:?}");

    let call = Command::Call { actor, operation: "Echo".into(), payload: "aGk=".into(), timeout_ms: None };
    let (_, outcome) = lattice.command(call).await;
    let Progress::Done { result } = outcome else { panic!("{outcome:?}") };
    assert_eq!(result["payload"], "MjpoaQ==");

    let missing = Command::StopProvider { provider: "kv".parse().unwrap(), force: false };
    let (_, outcome) = lattice.command(missing).await;
    assert!(matches!(outcome, Progress::Failed { code, .. } if code == "provider_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_use_stops_only_by_force() {
    let lattice = Lattice::new().await;
    let host = &lattice.host;
    let id = start(host, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(host, "kv").await;
    let stop = |force| lattice.command(Command::StopProvider { provider: "kv".parse().unwrap(), force });
    host.put_link(link(id, "kv"), false).await.unwrap();
    let Progress::Failed { code, message, remedy } = stop(false).await.1 else { panic!("it stopped") };
    assert_eq!(code, "provider_in_use");
    assert!(message.contains(&format!("link \"default\" of actor {id} for {KEYVALUE}")), "{message}");
    assert!(remedy.unwrap().contains("--force"));
    // A link of what does not run needs nothing.
    host.stop_actor(id, &wattle_host::Steps::ignore()).await.unwrap();
    assert!(matches!(stop(false).await.1, Progress::Done { .. }));
    start_script(host, "kv").await;
    start(host, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    assert!(matches!(stop(true).await.1, Progress::Done { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn their_verbs_acknowledge_and_tell_the_outcome_by_an_event() {
    let lattice = Lattice::new().await;
    let mut events = lattice.bus.subscribe("wasmbus.evt.default.*", None).await.unwrap();
    let module = lattice.author.echo("1:", 1);
    let reference = lattice.file("v1.wasm", module);
    let id = lattice.author.id().to_string();
    let scale = |count: u32| {
        json!({ "component_ref": reference, "component_id": id, "count": count, "host_id": "", "config": [],
                "allow_update": false })
    };
    assert!(lattice.ask("component.scale", true, scale(3)).await.success);
    let event: Value = loop {
        let event: Value = serde_json::from_slice(&events.next().await.unwrap().payload).unwrap();
        if event["type"] == "com.wasmcloud.lattice.component_scaled" {
            break event;
        }
    };
    assert_eq!((&event["data"]["max_instances"], &event["data"]["component_id"]), (&json!(3), &json!(id)));
    assert_eq!(event["source"], lattice.host.id().to_string());
    assert!(lattice.ask("component.scale", true, scale(0)).await.success);
    let stopped: Value = serde_json::from_slice(&events.next().await.unwrap().payload).unwrap();
    assert_eq!(stopped["data"]["max_instances"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_put_queried_and_deleted() {
    let lattice = Lattice::new().await;
    let link = json!({ "source_id": lattice.author.id(), "target": "kv", "name": "default",
        "wit_namespace": "wasmcloud", "wit_package": "keyvalue", "interfaces": [], "source_config": [],
        "target_config": [] });
    assert!(lattice.ask("link.put", false, link.clone()).await.success);
    let links = lattice.ask("link.get", false, json!(null)).await.response.unwrap();
    assert_eq!((&links[0]["target"], &links[0]["wit_package"]), (&json!("kv"), &json!("keyvalue")));
    assert!(lattice.ask("link.del", false, link).await.success);
    assert_eq!(lattice.ask("link.get", false, json!(null)).await.response.unwrap(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_said_to_be_unsupported() {
    let lattice = Lattice::new().await;
    for verb in ["host.dance", "component.explode", "host.ping", "link.get", "wattles.call"] {
        let answer = lattice.ask(verb, true, json!(null)).await;
        assert_eq!((answer.success, answer.message.as_str()), (false, "unsupported subject"), "{verb}");
    }
    for verb in ["link.turn", "claims.put", "config.turn.name", "config.get"] {
        let answer = lattice.ask(verb, false, json!(null)).await;
        assert_eq!((answer.success, answer.message.as_str()), (false, "unsupported subject"), "{verb}");
    }
}

#[tokio::test]
async fn an_answer_goes_to_no_other_subject_than_an_inbox() {
    let lattice = Lattice::new().await;
    let entry = "$KV.LATTICEDATA_default.COMPONENT_1";
    let mut written = lattice.bus.subscribe(entry, None).await.unwrap();
    let own = |verb| subject::control_host(&LatticeId::default(), verb, &lattice.host.id());
    let ping = subject::control(&LatticeId::default(), "host.ping");
    for verb in [&ping, &own("host.get"), &own("wattle.get_links"), &own("wattle.nonsense"), &own("host.dance")] {
        lattice.bus.publish(verb, Some(entry), &[], Bytes::new()).await.unwrap();
    }
    // Requests are taken in turn: this one is answered after all of them would have been.
    assert!(lattice.ask("host.get", true, json!(null)).await.success);
    assert!(lattice.ask("host.ping", false, json!(null)).await.success);
    assert_eq!(written.next().now_or_never(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_taken_or_refused_without_being_told() {
    let lattice = Lattice::new().await;
    let good = json!({ "ghcr.io": { "username": "me", "password": "hunter2", "registryType": "oci" } });
    assert!(lattice.ask("registry.put", false, good).await.success);
    for bad in [json!({ "http://ghcr.io": { "token": "hunter2" } }), json!({ "ghcr.io": "hunter2" }), json!("hunter2")]
    {
        let answer = lattice.ask("registry.put", false, bad).await;
        assert!(!answer.success && !answer.message.contains("hunter2"), "{}", answer.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_stopped_by_the_control_interface() {
    let lattice = Lattice::new().await;
    let wrong = lattice.ask("host.stop", true, json!({ "host_id": "N" })).await;
    assert!(!wrong.success);
    for named in [json!({}), json!({ "host_id": lattice.host.id() }), json!({ "host_id": null, "timeout": null })] {
        let lattice = Lattice::new().await;
        let named = if named["host_id"].is_string() { json!({ "host_id": lattice.host.id() }) } else { named };
        let stop = lattice.ask("host.stop", true, named).await;
        assert!(stop.success, "{}", stop.message);
        lattice.host.wait_stopped().await;
    }
}
