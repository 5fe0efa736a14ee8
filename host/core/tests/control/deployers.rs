//! What deployers such as wadm ask for: a new version and none of the old one, at once, each in the name of a scaler.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use wattle_bus::Bus;
use wattle_types::{LatticeId, subject};

use super::Lattice;

/// What wadm sends for one of its scalers.
fn scale(reference: &str, id: &str, count: u32, scaler: &str) -> Value {
    json!({
        "component_ref": reference, "component_id": id, "count": count, "config": [], "allow_update": false,
        "annotations": { "wasmcloud.dev/managed-by": "wadm", "wasmcloud.dev/scaler": scaler },
    })
}

impl Lattice {
    /// Sends both without waiting for the first one's answer, as a deployer does.
    async fn send_both(&self, first: &Value, second: &Value) {
        let subject = subject::control_host(&LatticeId::default(), "component.scale", &self.host.id());
        for body in [first, second] {
            let inbox = self.bus.new_inbox();
            self.bus.publish(&subject, Some(&inbox), &[], body.to_string().into()).await.unwrap();
        }
    }

    fn running(&self) -> (String, u32, String) {
        let inventory = self.host.inventory();
        let actor = &inventory.components[0];
        let scaler = actor.annotations.as_ref().unwrap()["wasmcloud.dev/scaler"].clone();
        (actor.image_ref.clone(), actor.max_instances, scaler)
    }
}

/// Calls the actor again and again until it is dropped.
struct Load {
    calling: JoinSet<()>,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Load {
    fn on(lattice: &Lattice, id: &str) -> Self {
        let (is_over, done, failed) = Default::default();
        let mut load = Self { calling: JoinSet::new(), is_over, done, failed };
        for _ in 0..4 {
            let (host, id) = (lattice.host.clone(), id.to_owned());
            let (is_over, done, failed) = (load.is_over.clone(), load.done.clone(), load.failed.clone());
            load.calling.spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let answer = host.call(&id, "Echo", "x".into(), None).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(answer.is_err()), Ordering::Relaxed);
                }
            });
        }
        load
    }

    /// Lets more calls end, and returns how many of all failed.
    async fn end(self) -> usize {
        let until = self.done.load(Ordering::Relaxed) + 200;
        while self.done.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.calling.join_all().await;
        self.failed.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_and_none_of_the_old_one_is_a_live_update() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let (v1, v2) = (lattice.author.echo("1:", 1), lattice.author.echo("2:", 2));
    let (v1, v2) = (lattice.file("v1.wasm", v1), lattice.file("v2.wasm", v2));
    let id = lattice.author.id().to_string();
    assert!(lattice.ask("component.scale", true, scale(&v1, &id, 4, "old")).await.success);
    events.wait("component_scaled").await;
    let load = Load::on(&lattice, &id);
    lattice.send_both(&scale(&v2, &id, 5, "new"), &scale(&v1, &id, 0, "old")).await;
    let told = events.wait("component_scaled").await;
    assert_eq!((&told["image_ref"], &told["max_instances"]), (&json!(v2), &json!(5)));
    assert_eq!(told["annotations"]["wasmcloud.dev/scaler"], "new");
    assert_eq!(load.end().await, 0);
    assert_eq!(lattice.running(), (v2.clone(), 5, "new".into()));
    // The new version's own scaler ends it, and so does who names none.
    assert!(lattice.ask("component.scale", true, scale(&v2, &id, 0, "new")).await.success);
    assert_eq!(events.wait("component_scaled").await["max_instances"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_cannot_be_had_leaves_the_old_one_serving() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let (v1, v2) = (lattice.author.echo("1:", 1), lattice.author.echo("2:", 2));
    let v1 = lattice.file("v1.wasm", v1);
    let missing = format!("file://{}", lattice.folder.path().join("v2.wasm").display());
    let id = lattice.author.id().to_string();
    assert!(lattice.ask("component.scale", true, scale(&v1, &id, 4, "old")).await.success);
    events.wait("component_scaled").await;
    let load = Load::on(&lattice, &id);
    lattice.send_both(&scale(&missing, &id, 5, "new"), &scale(&v1, &id, 0, "old")).await;
    let told = events.wait("component_scale_failed").await;
    assert_eq!(
        (&told["component_id"], &told["image_ref"], &told["max_instances"]),
        (&json!(id), &json!(missing), &json!(5))
    );
    assert_eq!(told["host_id"], json!(lattice.host.id()));
    assert_eq!(told["annotations"]["wasmcloud.dev/scaler"], "new");
    assert!(told["error"].as_str().unwrap().contains("v2.wasm"), "{told}");
    let late = lattice.ask("component.scale", true, scale(&v1, &id, 0, "old")).await;
    assert!(late.success && late.message.contains("another scaler"), "{}", late.message);
    assert_eq!(load.end().await, 0);
    assert_eq!(lattice.running(), (v1, 4, "old".into()), "what runs is told as it is");
    // Once it can be had, the deployer's next attempt brings it.
    assert_eq!(lattice.file("v2.wasm", v2), missing);
    assert!(lattice.ask("component.scale", true, scale(&missing, &id, 5, "new")).await.success);
    assert_eq!(events.wait("component_scaled").await["image_ref"], missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_version_goes_over_to_another_scaler_and_only_that_one_stops_it() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let v1 = lattice.file("v1.wasm", lattice.author.echo("1:", 1));
    let id = lattice.author.id().to_string();
    assert!(lattice.ask("component.scale", true, scale(&v1, &id, 4, "old")).await.success);
    events.wait("component_scaled").await;
    lattice.send_both(&scale(&v1, &id, 3, "new"), &scale(&v1, &id, 0, "old")).await;
    assert_eq!(events.wait("component_scaled").await["max_instances"], 3);
    // Answered after both of the others: requests are taken in turn.
    let late = lattice.ask("component.scale", true, scale(&v1, &id, 0, "old")).await;
    assert!(late.success && late.message.contains("another scaler"), "{}", late.message);
    assert_eq!(lattice.running(), (v1.clone(), 3, "new".into()));
    let mut unnamed = scale(&v1, &id, 0, "old");
    unnamed["annotations"] = json!({ "wasmcloud.dev/managed-by": "wadm" });
    assert!(lattice.ask("component.scale", true, unnamed).await.success);
    assert_eq!(events.wait("component_scaled").await["max_instances"], 0);
}
