//! Starting, resizing and replacing actors and providers by the verbs of others.

use serde_json::{Value, json};

use super::Lattice;
use crate::support::{Author, start};

/// A request to scale with what every client sends.
fn scale(reference: &str, id: &str, count: u32) -> Value {
    json!({ "component_ref": reference, "component_id": id, "count": count, "host_id": "", "config": [],
            "allow_update": false, "component_limits": { "memory": "1MB" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_names_must_be_there_and_meant() {
    let lattice = Lattice::new().await;
    let id = lattice.author.id().to_string();
    let elsewhere = Author::new().id().to_string();
    let cases = [
        ("component.scale", json!({ "component_id": "", "count": 1 }), "component_id must not be empty"),
        ("component.scale", json!({ "component_id": id, "count": 1 }), "component_ref must not be empty"),
        ("component.scale", scale("file:///a", "e.cho", 1), "component_id: \"e.cho\" is not the name of an actor"),
        ("component.update", json!({ "component_id": id, "new_component_ref": "x" }), "not found"),
        ("component.update", json!({ "component_id": " ", "new_component_ref": "x" }), "must not be empty"),
        ("provider.start", json!({ "provider_id": " ", "provider_ref": "builtin:script" }), "must not be empty"),
        ("provider.start", json!({ "provider_id": "kv", "provider_ref": "" }), "provider_ref must not be empty"),
        ("provider.stop", json!({ "provider_id": "kv" }), "provider with that ID is not running"),
    ];
    for (verb, body, words) in cases {
        let refused = lattice.ask(verb, true, body).await;
        assert!(!refused.success && refused.message.contains(words), "{verb}: {}", refused.message);
    }
    for verb in ["component.scale", "component.update", "provider.start", "provider.stop", "host.stop"] {
        let mut body = json!({
            "component_id": id, "component_ref": "x", "new_component_ref": "x", "count": 1, "provider_id": "kv",
            "host_id": elsewhere,
        });
        if verb == "provider.start" {
            body["provider_ref"] = json!("builtin:script");
        }
        let refused = lattice.ask(verb, true, body).await;
        assert!(!refused.success && refused.message.contains(&elsewhere), "{verb}: {}", refused.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_starts_resizes_updates_where_allowed_and_stops() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let (v1, v2) = (lattice.author.echo("1:", 1), lattice.author.echo("2:", 2));
    let (v1, v2) = (lattice.file("v1.wasm", v1), lattice.file("v2.wasm", v2));
    let id = lattice.author.id().to_string();
    let blanks = scale(&format!(" {v1} "), &format!(" {id}\n"), 3);
    let started = lattice.ask("component.scale", true, blanks).await;
    assert!(started.success && started.message.starts_with("queued"), "{}", started.message);
    assert_eq!(events.wait("component_scaled").await["image_ref"], v1);

    let mut resize = scale(&v1, &id, 5);
    resize["annotations"] = json!({ "by": "test" });
    let resized = lattice.ask("component.scale", true, resize).await;
    assert_eq!((resized.success, resized.message.as_str()), (true, "scaled"));
    let told = events.wait("component_scaled").await;
    assert_eq!((&told["max_instances"], &told["annotations"]), (&json!(5), &json!({ "by": "test" })));

    let kept = lattice.ask("component.scale", true, scale(&v2, &id, 6)).await;
    assert!(kept.success && kept.message.starts_with("scaled, but still"), "{}", kept.message);
    let told = events.wait("component_scaled").await;
    assert_eq!((&told["max_instances"], &told["image_ref"]), (&json!(6), &json!(v1)));
    assert_eq!(told["annotations"], json!({ "by": "test" }));

    let mut update = scale(&v2, &id, 7);
    update["allow_update"] = json!(true);
    assert!(lattice.ask("component.scale", true, update).await.success);
    let told = events.wait("component_scaled").await;
    assert_eq!((&told["max_instances"], &told["image_ref"]), (&json!(7), &json!(v2)));

    let same = json!({ "component_id": id, "new_component_ref": v2 });
    let same = lattice.ask("component.update", true, same).await;
    assert!(same.success && same.message.contains("already runs"), "{}", same.message);

    assert!(lattice.ask("component.scale", true, scale("", &id, 0)).await.success);
    assert_eq!(events.wait("component_scaled").await["max_instances"], 0);
    let again = lattice.ask("component.scale", true, scale("", &id, 0)).await;
    assert_eq!((again.success, again.message.as_str()), (true, "not running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_told_with_all_that_was_asked_for() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let another = lattice.author.another();
    let theirs = lattice.file("another.wasm", another.echo("x", 1));
    let id = lattice.author.id().to_string();
    for (reference, words) in [("file:///nonexistent.wasm", "cannot be read"), (&*theirs, "not")] {
        let mut asked = scale(reference, &id, 4);
        asked["annotations"] = json!({ "by": "test" });
        assert!(lattice.ask("component.scale", true, asked).await.success);
        let told = events.wait("component_scale_failed").await;
        assert_eq!((&told["component_id"], &told["image_ref"]), (&json!(id), &json!(reference)));
        assert_eq!((&told["max_instances"], &told["annotations"]["by"]), (&json!(4), &json!("test")));
        assert!(told["error"].as_str().unwrap().contains(words), "{told}");
    }
    let running = start(&lattice.host, lattice.author.echo("1:", 1)).await;
    let update = json!({ "component_id": running, "new_component_ref": theirs });
    assert!(lattice.ask("component.update", true, update).await.success);
    assert_eq!(events.wait("component_scale_failed").await["component_id"], json!(running));
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_asked_for_twice_at_once_are_one() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let reference = lattice.file("v1.wasm", lattice.author.echo("1:", 1));
    let id = lattice.author.id().to_string();
    let (first, second) = (scale(&reference, &id, 2), scale(&reference, &id, 2));
    let asked = tokio::join!(lattice.ask("component.scale", true, first), lattice.ask("component.scale", true, second));
    assert!(asked.0.success && asked.1.success);
    for _ in 0..2 {
        assert_eq!(events.wait("component_scaled").await["max_instances"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_started_and_stopped_once() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let start = json!({ "provider_id": " kv ", "provider_ref": "builtin:script", "annotations": { "by": "test" } });
    assert!(lattice.ask("provider.start", true, start.clone()).await.success);
    let told = events.wait("provider_started").await;
    assert_eq!((&told["provider_id"], &told["annotations"]["by"]), (&json!("kv"), &json!("test")));
    let again = lattice.ask("provider.start", true, start).await;
    assert_eq!((again.success, again.message.as_str()), (false, "provider with that ID is already running"));
    // An older spelling of the field.
    assert!(lattice.ask("provider.stop", true, json!({ "provider_ref": "kv" })).await.success);
    assert_eq!(events.wait("provider_stopped").await["provider_id"], "kv");

    let unknown = json!({ "provider_id": "x", "provider_ref": "builtin:unheard-of" });
    assert!(lattice.ask("provider.start", true, unknown).await.success);
    let told = events.wait("provider_start_failed").await;
    assert_eq!((&told["provider_id"], &told["provider_ref"]), (&json!("x"), &json!("builtin:unheard-of")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_without_a_count_changes_nothing_and_either_name_of_it_is_read() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let reference = lattice.file("v1.wasm", lattice.author.echo("1:", 1));
    let id = lattice.author.id().to_string();
    let with = |field: &str, count: Value| json!({ "component_ref": reference, "component_id": id, "config": null, field: count });
    assert!(lattice.ask("component.scale", true, with("max_instances", json!(4))).await.success);
    assert_eq!(events.wait("component_scaled").await["max_instances"], 4);
    let refused = lattice.ask("component.scale", true, with("other", json!(0))).await;
    assert!(!refused.success && refused.message.contains("count must be given"), "{}", refused.message);
    assert_eq!(lattice.host.inventory().components[0].max_instances, 4);
    assert!(lattice.ask("component.scale", true, with("max_instances", json!(0))).await.success);
    events.wait("component_scale_failed").await;
    assert_eq!(events.wait("component_scaled").await["max_instances"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_by_an_event_with_all_that_was_asked_for() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let id = lattice.author.id().to_string();
    let mut gone = scale("file:///a.wasm", &id, 3);
    gone["config"] = json!(["gone"]);
    for (mut asked, sent) in [(gone, &id), (scale(" ", &format!(" {id} "), 3), &id)] {
        asked["annotations"] = json!({ "by": "test" });
        let refused = lattice.ask("component.scale", true, asked.clone()).await;
        assert!(!refused.success);
        let told = events.wait("component_scale_failed").await;
        let expected = json!({
            "component_id": sent, "public_key": id, "image_ref": asked["component_ref"].as_str().unwrap().trim(),
            "host_id": lattice.host.id(), "annotations": { "by": "test" }, "max_instances": 3,
            "error": refused.message,
        });
        assert_eq!(told, expected);
    }
    let gone = json!({ "provider_id": "kv", "provider_ref": "builtin:script", "config": ["gone"] });
    let refused = lattice.ask("provider.start", true, gone).await;
    let told = events.wait("provider_start_failed").await;
    assert_eq!((&told["provider_id"], &told["error"]), (&json!("kv"), &json!(refused.message)));
}
