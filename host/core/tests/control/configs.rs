//! Named configurations, and what names them.

use serde_json::{Value, json};

use wattle_types::control::{Command, Progress};

use super::Lattice;
use crate::support::KEYVALUE;

fn link(lattice: &Lattice, source_config: Value, target_config: Value) -> Value {
    json!({ "source_id": lattice.author.id(), "target": "kv", "name": "default", "wit_namespace": "wasmcloud",
            "wit_package": "keyvalue", "interfaces": ["keyvalue"], "source_config": source_config,
            "target_config": target_config })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_put_read_and_deleted() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    // One may even have the name of a host.
    for name in ["shop.cart-1", &lattice.host.id().to_string()] {
        let verb = |verb: &str| format!("config.{verb}.{name}");
        let missing = lattice.ask(&verb("get"), false, json!(null)).await;
        assert_eq!((missing.success, missing.message.as_str()), (true, "Configuration not found"));
        assert!(missing.response.is_none());
        assert!(lattice.ask(&verb("put"), false, json!({ "url": "redis://secret" })).await.success);
        let told = events.wait("config_set").await;
        assert_eq!(told, json!({ "config_name": name }));
        let read = lattice.ask(&verb("get"), false, json!(null)).await;
        assert_eq!(read.response, Some(json!({ "url": "redis://secret" })));
        assert!(lattice.ask(&verb("del"), false, json!(null)).await.success);
        assert_eq!(events.wait("config_deleted").await, json!({ "config_name": name }));
        assert!(lattice.ask(&verb("get"), false, json!(null)).await.response.is_none());
    }
    let bad = lattice.ask("config.put.a", false, json!({ "port": 6379 })).await;
    assert!(!bad.success && bad.message.contains("no JSON map of texts"), "{}", bad.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_s_values_come_from_the_provider_s_end() {
    let lattice = Lattice::new().await;
    for (name, values) in [("one", json!({ "a": "1", "b": "1" })), ("two", json!({ "b": "2" })), ("own", json!({}))] {
        assert!(lattice.ask(&format!("config.put.{name}"), false, values).await.success);
    }
    let put = lattice.ask("link.put", false, link(&lattice, json!(["own"]), json!(["one", "two"]))).await;
    assert!(put.success, "{}", put.message);
    let values = lattice.host.links()[0].values.clone();
    assert_eq!(values, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into());

    let mut turned = link(&lattice, json!(["two"]), json!(["own"]));
    (turned["source_id"], turned["target"]) = (json!("kv"), json!(lattice.author.id()));
    assert!(lattice.ask("link.put", false, turned).await.success);
    assert_eq!(lattice.host.links()[0].values, [("b".to_owned(), "2".to_owned())].into());

    for (source, target) in [(json!(["gone"]), json!([])), (json!([]), json!(["one", "gone"]))] {
        let refused = lattice.ask("link.put", false, link(&lattice, source, target)).await;
        assert!(!refused.success && refused.message.contains("\"gone\""), "{}", refused.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_gets_the_configurations_it_is_started_with() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    assert!(lattice.ask("config.put.base", false, json!({ "url": "1", "db": "0" })).await.success);
    assert!(lattice.ask("config.put.over", false, json!({ "url": "2" })).await.success);
    let start = |config: Value| json!({ "provider_id": "kv", "provider_ref": "builtin:script", "config": config });
    let refused = lattice.ask("provider.start", true, start(json!(["base", "gone"]))).await;
    assert!(!refused.success && refused.message.contains("\"gone\""), "{}", refused.message);
    assert!(lattice.ask("provider.start", true, start(json!(["base", "over"]))).await.success);
    events.wait("provider_started").await;
    assert_eq!(lattice.script.log(), ["kv #1 created db=0 url=2"]);

    let scale = json!({ "component_ref": "file:///a.wasm", "component_id": lattice.author.id(), "count": 1,
                        "config": ["gone"] });
    let refused = lattice.ask("component.scale", true, scale).await;
    assert!(!refused.success && refused.message.contains("\"gone\""), "{}", refused.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_in_use_is_deleted_only_by_force() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let delete = |name: &str, force| lattice.command(Command::DeleteConfig { name: name.into(), force });
    assert!(lattice.ask("config.put.a", false, json!({ "url": "1" })).await.success);
    assert!(lattice.ask("link.put", false, link(&lattice, json!([]), json!(["a"]))).await.success);
    let Progress::Failed { code, message, .. } = delete("a", false).await.1 else { panic!("it was deleted") };
    assert_eq!(code, "config_in_use");
    assert!(message.contains(&lattice.author.id().to_string()) && message.contains(KEYVALUE), "{message}");
    assert!(matches!(delete("a", true).await.1, Progress::Done { .. }));
    assert_eq!(events.wait("config_deleted").await, json!({ "config_name": "a" }));
    assert!(matches!(delete("a", true).await.1, Progress::Done { .. }), "what is gone stays gone");
    assert!(lattice.ask("config.put.b", false, json!({})).await.success);
    assert!(matches!(delete("b", false).await.1, Progress::Done { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_gets_a_configuration_that_changes_live() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    assert!(lattice.ask("config.put.base", false, json!({ "url": "1" })).await.success);
    let start = json!({ "provider_id": "kv", "provider_ref": "builtin:script", "config": ["base"] });
    assert!(lattice.ask("provider.start", true, start).await.success);
    events.wait("provider_started").await;
    let other = json!({ "provider_id": "other", "provider_ref": "builtin:script" });
    assert!(lattice.ask("provider.start", true, other).await.success);
    events.wait("provider_started").await;

    assert!(lattice.ask("config.put.base", false, json!({ "url": "2" })).await.success);
    assert_eq!(events.wait("provider_started").await["provider_id"], "kv");
    let created = |log: Vec<String>| log.into_iter().filter(|line| line.contains("created")).collect::<Vec<_>>();
    let expected = ["kv #1 created url=1", "other #2 created", "kv #3 created after kv #1 url=2"];
    assert_eq!(created(lattice.script.log()), expected);

    // What it does not come up with, and what is gone, leaves it as it is.
    lattice.script.refuse.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(lattice.ask("config.put.base", false, json!({ "url": "bad" })).await.success);
    assert!(lattice.ask("config.del.base", false, json!(null)).await.success);
    lattice.script.refuse.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(lattice.ask("config.put.base", false, json!({ "url": "3" })).await.success);
    assert_eq!(events.wait("provider_started").await["provider_id"], "kv");
    assert_eq!(created(lattice.script.log()).last().unwrap(), "kv #4 created after kv #3 url=3");
}
