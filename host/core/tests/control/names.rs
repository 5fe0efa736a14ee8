//! Actors that tools of others call by names of their choice.

use serde_json::{Value, json};
use wattle_host::HostConfig;
use wattle_types::wascap::Actor;

use super::Lattice;
use crate::support::{Author, KEYVALUE, start, start_script};

fn scale(reference: &str, name: &str, count: u32) -> Value {
    json!({ "component_ref": reference, "component_id": name, "count": count })
}

/// A link of the wire: the ids of both ends, and its package.
fn link(source: &str, target: &str) -> Value {
    json!({ "source_id": source, "target": target, "name": "default", "wit_namespace": "wasmcloud",
            "wit_package": "keyvalue", "interfaces": ["keyvalue"], "source_config": null, "target_config": null })
}

impl Lattice {
    /// Puts a file there whose actor passes every call on to key-value.
    fn forward(&self, author: &Author, name: &str, revision: i32) -> String {
        self.file(name, author.forward(KEYVALUE, &[KEYVALUE], revision))
    }

    async fn call(&self, actor: &str) -> Result<String, String> {
        let answer = self.host.call(actor, "Get", "x".into(), None).await;
        answer.map(|bytes| String::from_utf8(bytes.into()).unwrap()).map_err(|error| error.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_id_is_the_name_of_an_actor_from_start_to_stop() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let key = lattice.author.id().to_string();
    let (v1, v2) = (lattice.forward(&lattice.author, "v1.wasm", 1), lattice.forward(&lattice.author, "v2.wasm", 2));
    start_script(&lattice.host, "app-kv").await;
    // As deployers do: links first.
    assert!(lattice.ask("link.put", false, link("app-hello", "app-kv")).await.success);
    let told = events.wait("linkdef_set").await;
    assert_eq!((&told["source_id"], &told["target"]), (&json!("app-hello"), &json!("app-kv")));
    let auction = json!({ "component_ref": v1, "component_id": "app-hello", "constraints": null });
    assert_eq!(lattice.ask("component.auction", false, auction).await.response.unwrap()["component_id"], "app-hello");

    let started = lattice.ask("component.scale", true, scale(&v1, "app-hello", 3)).await;
    assert!(started.success, "{}", started.message);
    let told = events.wait("component_scaled").await;
    assert_eq!((&told["component_id"], &told["public_key"]), (&json!("app-hello"), &json!(key)));
    let running = lattice.host.inventory().components.remove(0);
    assert_eq!((running.id.as_str(), running.actor()), ("app-hello", key.as_str()));
    while lattice.host.links().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(lattice.call(&key).await.unwrap(), "app-kv #1: Get");
    assert_eq!(lattice.ask("link.get", false, json!(null)).await.response.unwrap()[0]["source_id"], "app-hello");

    let updated = json!({ "component_id": "app-hello", "new_component_ref": v2 });
    assert!(lattice.ask("component.update", true, updated).await.success);
    assert_eq!(events.wait("component_scaled").await["component_id"], "app-hello");
    assert!(lattice.ask("component.scale", true, scale(&v2, "app-hello", 5)).await.success);
    assert_eq!(events.wait("component_scaled").await["max_instances"], 5);
    assert_eq!(lattice.host.find_actor("app-hello").unwrap().to_string(), key);

    let missing = json!({ "component_id": "app-hello", "new_component_ref": "file:///gone.wasm" });
    assert!(lattice.ask("component.update", true, missing).await.success);
    assert_eq!(events.wait("component_scale_failed").await["component_id"], "app-hello");

    let deleted = link("app-hello", "app-kv");
    assert!(lattice.ask("link.del", false, deleted).await.success);
    assert_eq!(events.wait("linkdef_deleted").await["source_id"], "app-hello");
    assert!(lattice.host.links().is_empty());
    assert_eq!(lattice.ask("link.get", false, json!(null)).await.response.unwrap(), json!([]));

    assert!(lattice.ask("component.scale", true, scale("", "app-hello", 0)).await.success);
    let told = events.wait("component_scaled").await;
    assert_eq!((&told["component_id"], &told["max_instances"]), (&json!("app-hello"), &json!(0)));
    let unknown = lattice.ask("component.scale", true, scale("", "nobody", 0)).await;
    assert_eq!((unknown.success, unknown.message.as_str()), (true, "not running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_is_the_target_of_a_provider_s_link_by_its_name() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let v1 = lattice.forward(&lattice.author, "v1.wasm", 1);
    assert!(lattice.ask("component.scale", true, scale(&v1, "app-hello", 3)).await.success);
    events.wait("component_scaled").await;
    start_script(&lattice.host, "app-kv").await;
    assert!(lattice.ask("link.put", false, link("app-kv", "app-hello")).await.success);
    let told = events.wait("linkdef_set").await;
    assert_eq!((&told["source_id"], &told["target"]), (&json!("app-kv"), &json!("app-hello")));
    assert_eq!(lattice.call(&lattice.author.id().to_string()).await.unwrap(), "app-kv #1: Get");
    assert!(lattice.ask("link.del", false, link("app-kv", "")).await.success);
    assert!(lattice.host.links().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_outlives_the_host_and_holds_on_all_others() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let v1 = lattice.forward(&lattice.author, "v1.wasm", 1);
    assert!(lattice.ask("component.scale", true, scale(&v1, "app-hello", 3)).await.success);
    events.wait("component_scaled").await;
    assert!(lattice.ask("link.put", false, link("app-hello", "app-kv")).await.success);
    let key = lattice.author.id();
    lattice.host.shutdown().await;
    let later = lattice.join(HostConfig::default()).await;
    assert_eq!(later.links()[0].key.actor, key);
    // Started by its key, it is still who it was.
    start(&later, lattice.author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    assert_eq!(later.inventory().components[0].id, "app-hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_one_actor_and_an_actor_has_one_name_while_it_runs() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let (one, two) = (lattice.forward(&lattice.author, "one.wasm", 1), lattice.author.another());
    let two = lattice.file("two.wasm", two.sign(&crate::support::echo("2:"), Actor::new("Two").revision(1)));
    assert!(lattice.ask("component.scale", true, scale(&one, "first", 3)).await.success);
    events.wait("component_scaled").await;
    let elsewhere = lattice.join(HostConfig::default()).await;
    // It goes by what it has heard of the others.
    let key = lattice.author.id().to_string();
    let is_unknown = async || {
        let called = elsewhere.call(&key, "Get", "x".into(), None).await;
        called.is_err_and(|error| error.code() == "actor_not_found")
    };
    while is_unknown().await {
        tokio::task::yield_now().await;
    }
    for (reference, name, words) in [(&one, "second", "runs as"), (&two, "first", "the name of actor")] {
        let subject = wattle_types::subject::control_host(&Default::default(), "component.scale", &elsewhere.id());
        let body = scale(reference, name, 1).to_string();
        wattle_bus::Bus::request(&*lattice.bus, &subject, &[], body.into(), super::PATIENCE).await.unwrap();
        let told = events.wait("component_scale_failed").await;
        assert_eq!(told["component_id"], name);
        assert!(told["error"].as_str().unwrap().contains(words), "{told}");
    }
    // Nobody runs under it any more: it is free, and so is the actor.
    assert!(lattice.ask("component.scale", true, scale("", "first", 0)).await.success);
    events.wait("component_scaled").await;
    for (reference, name) in [(&one, "second"), (&two, "first")] {
        assert!(lattice.ask("component.scale", true, scale(reference, name, 1)).await.success);
        assert_eq!(events.wait("component_scaled").await["component_id"], name);
    }
    let ids: Vec<_> = lattice.host.inventory().components.into_iter().map(|running| running.id).collect();
    assert!(ids.contains(&"first".to_owned()) && ids.contains(&"second".to_owned()), "{ids:?}");
}
