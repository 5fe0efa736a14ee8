//! What a host says of itself can be changed, except what the machine is.

use serde_json::json;

use super::Lattice;

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_put_told_shown_and_deleted() {
    let lattice = Lattice::new().await;
    let mut events = lattice.events().await;
    let put = lattice.ask("label.put", true, json!({ "key": " zone ", "value": "a" })).await;
    assert!(put.success, "{}", put.message);
    let told = events.wait("labels_changed").await;
    assert_eq!((&told["host_id"], &told["labels"]["zone"]), (&json!(lattice.host.id()), &json!("a")));
    assert_eq!(told["labels"]["hostcore.arch"], std::env::consts::ARCH);
    let ping = lattice.ask("host.ping", false, json!(null)).await.response.unwrap();
    assert_eq!(ping["labels"], told["labels"]);

    assert!(lattice.ask("label.del", true, json!({ "key": "zone" })).await.success);
    assert_eq!(events.wait("labels_changed").await["labels"]["zone"], json!(null));
    let again = lattice.ask("label.del", true, json!({ "key": "zone" })).await;
    assert_eq!((again.success, again.message.as_str()), (true, "there was no such label"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_is_cannot_be_put() {
    let lattice = Lattice::new().await;
    for key in ["hostcore.arch", "HOSTCORE.os", "hostcore.anything", "", "  "] {
        let put = lattice.ask("label.put", true, json!({ "key": key, "value": "x" })).await;
        assert!(!put.success, "{key:?}");
    }
    assert_eq!(lattice.host.labels()["hostcore.arch"], std::env::consts::ARCH);
}
