//! Replacing and stopping providers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use wattle_host::{HostConfig, Steps};

use crate::support::{Author, KEYVALUE, Script, host, host_with, link, start, start_script};

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_gets_links_and_handover_before_it_is_used() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    host.update_provider(&"kv".parse().unwrap(), "builtin:script", None, false, &Steps::ignore()).await.unwrap();
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
    let refused = host.update_provider(&kv, "builtin:script", None, false, &Steps::ignore()).await.unwrap_err();
    assert_eq!(refused.code(), "config_invalid");
    let unknown = host.update_provider(&kv, "builtin:nothing", None, false, &Steps::ignore()).await.unwrap_err();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_not_accepted_at_the_start_is_tried_again() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let config = HostConfig { health_interval: Duration::from_millis(10), ..HostConfig::default() };
    let host = host_with(&author, &script, config).await;
    host.put_link(link(author.id(), "kv"), false).await.unwrap();
    script.away.store(true, Ordering::SeqCst);
    start_script(&host, "kv").await;
    let tries = || script.log().iter().filter(|line| line.ends_with("linked")).count();
    while tries() < 3 {
        tokio::task::yield_now().await;
    }
    script.away.store(false, Ordering::SeqCst);
    // Once it is accepted it is left alone: five health checks without another try.
    let mut checks = tokio::time::interval(Duration::from_millis(10));
    let mut quiet = 0;
    for _ in 0..1000 {
        let before = tries();
        checks.tick().await;
        quiet = if tries() == before { quiet + 1 } else { 0 };
        if quiet == 5 {
            break;
        }
    }
    assert_eq!(quiet, 5);
}
