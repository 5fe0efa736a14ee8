//! Links: what a call over one needs, and what each lack is called.

use std::sync::Arc;

use bytes::Bytes;
use wattle_host::{Host, Steps};
use wattle_types::{ActorId, InvokeError};

use crate::support::{Author, KEYVALUE, Script, host, link, start, start_script};

async fn root(host: &Host, actor: ActorId) -> InvokeError {
    host.call(&actor.to_string(), "Get", Bytes::new(), None).await.unwrap_err().root().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lack_is_named_and_none_hurts_the_actor() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    assert_eq!(root(&host, id).await.code(), "link_not_found");
    host.put_link(link(id, "kv"), false).await.unwrap();
    let missing = root(&host, id).await;
    assert_eq!(missing.code(), "provider_unavailable");
    assert_eq!(missing.link(), Some(&link(id, "kv").key));
    assert!(missing.remedy().unwrap().contains("--id kv"));
    start_script(&host, "kv").await;
    assert_eq!(host.call(&id.to_string(), "Get", Bytes::new(), None).await.unwrap(), "kv #1: Get");
    host.stop_provider(&"kv".parse().unwrap(), &Steps::ignore()).await.unwrap();
    assert_eq!(root(&host, id).await.code(), "provider_unavailable");
    host.delete_link(&link(id, "kv").key).await.unwrap();
    assert_eq!(root(&host, id).await.code(), "link_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_link_and_no_contract_can_have_is_told_as_such() {
    let cases = [
        ("a b", KEYVALUE, "\"a b\" is not a link name"),
        ("x\\ny", KEYVALUE, "\"x\\ny\" is not a link name"),
        ("", "wasmcloud:key value", "\"wasmcloud:key value\" is not a capability contract"),
    ];
    for (link_name, namespace, said) in cases {
        let author = Author::new();
        let host = host(&author, &Arc::default()).await;
        let id = start(&host, author.forward_over(link_name, namespace)).await;
        let error = root(&host, id).await;
        assert_eq!(error.code(), "id_invalid", "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.remedy().unwrap().contains("mistake in the actor"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_must_be_claimed_whatever_is_linked() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    start_script(&host, "kv").await;
    // Linked before it starts, when nobody knows its claims yet.
    host.put_link(link(author.id(), "kv"), false).await.unwrap();
    let id = start(&host, author.forward(KEYVALUE, &[], 1)).await;
    assert_eq!(root(&host, id).await.code(), "capability_not_claimed");
    host.delete_link(&link(id, "kv").key).await.unwrap();
    let refused = host.put_link(link(id, "kv"), false).await.unwrap_err();
    assert_eq!(refused.code(), "capability_not_claimed");
    assert!(refused.to_string().ends_with("; it claims none"), "{refused}");
    assert_eq!(root(&host, id).await.code(), "capability_not_claimed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_moves_to_another_provider_only_when_told_to_replace() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "a").await;
    start_script(&host, "b").await;
    host.put_link(link(id, "a"), false).await.unwrap();
    assert_eq!(host.put_link(link(id, "b"), false).await.unwrap_err().code(), "link_conflict");
    host.put_link(link(id, "b"), true).await.unwrap();
    assert_eq!(host.call(&id.to_string(), "Get", Bytes::new(), None).await.unwrap(), "b #2: Get");
    assert_eq!(script.log()[2..], ["a #1 linked", "b #2 linked", "a #1 unlinked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_a_provider_refuses_leave_the_link_as_it_was() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    let mut bad = link(id, "kv");
    bad.values.insert("bad".into(), "1".into());
    assert_eq!(host.put_link(bad, false).await.unwrap_err().code(), "config_invalid");
    assert!(host.links()[0].values.is_empty());
    let mut other = link(id, "kv");
    other.key.contract = "wasmcloud:messaging".parse().unwrap();
    let refused = host.put_link(other, false).await.unwrap_err();
    assert_eq!(refused.code(), "capability_not_claimed");
    assert!(refused.to_string().ends_with("; it claims wasmcloud:keyvalue"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_drops_what_its_links_need_goes_live_only_by_force() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    let without = author.forward(KEYVALUE, &["test:other"], 2);
    let steps = Steps::ignore();
    let refused = host.update_actor(id, without.clone(), "", false, &steps).await.unwrap_err();
    assert_eq!(refused.code(), "capability_not_claimed");
    for named in ["\"default\"", "kv", KEYVALUE, "it claims test:other"] {
        assert!(refused.to_string().contains(named), "{refused}");
    }
    assert!(refused.remedy().unwrap().contains("--force"), "{:?}", refused.remedy());
    assert_eq!(host.call(&id.to_string(), "Get", Bytes::new(), None).await.unwrap(), "kv #1: Get");
    // On trial neither.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("without.wasm");
    std::fs::write(&file, &without).unwrap();
    let reference = format!("file://{}", file.display());
    let refused = host.try_actor_from(id, &reference, 10, false, &steps).await.unwrap_err();
    assert_eq!(refused.code(), "capability_not_claimed");
    host.update_actor(id, without, "", true, &steps).await.unwrap();
    assert_eq!(root(&host, id).await.code(), "capability_not_claimed");
    // A version that claims as little as the one that runs is no worse.
    host.update_actor(id, author.forward(KEYVALUE, &[], 3), "", false, &steps).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_no_longer_serves_its_links_takes_over_only_by_force() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    script.turned.store(true, std::sync::atomic::Ordering::SeqCst);
    let (kv, steps) = ("kv".parse().unwrap(), Steps::ignore());
    let refused = host.update_provider(&kv, "builtin:script", None, false, &steps).await.unwrap_err();
    assert_eq!(refused.code(), "contract_not_served");
    for named in ["\"default\"", &id.to_string(), KEYVALUE, "it serves test:other"] {
        assert!(refused.to_string().contains(named), "{refused}");
    }
    assert!(script.log().contains(&"kv #2 closed".to_owned()), "{:?}", script.log());
    assert_eq!(host.call(&id.to_string(), "Get", Bytes::new(), None).await.unwrap(), "kv #1: Get");
    host.update_provider(&kv, "builtin:script", None, true, &steps).await.unwrap();
    assert!(!script.log().contains(&"kv #3 linked".to_owned()), "{:?}", script.log());
}
