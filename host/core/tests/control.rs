//! The control interface over a bus: theirs and ours.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use wattle_bus::{Bus, MemoryBus};
use wattle_host::Host;
use wattle_runtime::{Engine, EngineConfig};
use wattle_types::{
    LatticeId,
    control::{Command, HostInventory, Progress, Reply},
    subject,
};

use crate::support::Author;

const PATIENCE: Duration = Duration::from_secs(30);

struct Lattice {
    host: Host,
    bus: Arc<MemoryBus>,
    author: Author,
    folder: tempfile::TempDir,
}

impl Lattice {
    async fn new() -> Self {
        let (author, bus) = (Author::new(), Arc::new(MemoryBus::new()));
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let host = Host::builder(engine, author.trust()).bus(bus.clone()).start().await.unwrap();
        Self { host, bus, author, folder: tempfile::tempdir().unwrap() }
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

    let missing = Command::StopProvider { provider: "kv".parse().unwrap() };
    let (_, outcome) = lattice.command(missing).await;
    assert!(matches!(outcome, Progress::Failed { code, .. } if code == "provider_not_found"));
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
async fn a_host_is_stopped_by_the_control_interface() {
    let lattice = Lattice::new().await;
    let wrong = lattice.ask("host.stop", true, json!({ "host_id": "N" })).await;
    assert!(!wrong.success);
    let stop = lattice.ask("host.stop", true, json!({ "host_id": lattice.host.id() })).await;
    assert!(stop.success, "{}", stop.message);
    lattice.host.wait_stopped().await;
}
