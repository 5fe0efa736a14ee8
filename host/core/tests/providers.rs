//! Replacing and stopping providers.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use wattle_host::Steps;

use crate::support::{Author, KEYVALUE, Script, host, link, start, start_script};

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_gets_links_and_handover_before_it_is_used() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    host.update_provider(&"kv".parse().unwrap(), "builtin:script", None, &Steps::ignore()).await.unwrap();
    assert_eq!(
        script.log(),
        ["kv #1 created", "kv #1 linked", "kv #2 created after kv #1", "kv #2 linked", "kv #1 quiet", "kv #1 closed"]
    );
    assert_eq!(host.call(&id.to_string(), "Get", Bytes::new(), None).await.unwrap(), "kv #2: Get");
    assert_eq!(host.inventory().providers[0].wattle.as_ref().unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_does_not_come_up_changes_nothing() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    script.refuse.store(true, Ordering::SeqCst);
    let kv = "kv".parse().unwrap();
    let refused = host.update_provider(&kv, "builtin:script", None, &Steps::ignore()).await.unwrap_err();
    assert_eq!(refused.code(), "config_invalid");
    let unknown = host.update_provider(&kv, "builtin:nothing", None, &Steps::ignore()).await.unwrap_err();
    assert_eq!(unknown.to_string(), "\"builtin:nothing\" names no provider; this host has builtin:script");
    assert_eq!(host.call(&id.to_string(), "Get", Bytes::new(), None).await.unwrap(), "kv #1: Get");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_started_once() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    start_script(&host, "kv").await;
    let options = wattle_host::StartProvider {
        id: Some("kv".parse().unwrap()),
        ..wattle_host::StartProvider::new("builtin:script")
    };
    let error = host.start_provider(options, &Steps::ignore()).await.unwrap_err();
    assert_eq!(error.code(), "provider_running");
}
