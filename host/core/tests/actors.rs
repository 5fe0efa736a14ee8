//! Starting, calling, replacing and stopping actors.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use wattle_host::{Host, HostConfig, StartActor, Steps};
use wattle_types::wascap::{Actor, KeyKind, KeyPair};

use crate::support::{Author, KEYVALUE, Script, echo, host, host_with, link, start, start_script};

async fn call(host: &Host, actor: &str, payload: &'static str) -> Result<Bytes, &'static str> {
    host.call(actor, "Echo", payload.into(), None).await.map_err(|error| error.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_answers_until_it_is_stopped() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let id = start(&host, author.echo("1:", 1)).await;
    assert_eq!(call(&host, &id.to_string(), "hello").await.unwrap(), "1:hello");
    host.stop_actor(id, &Steps::ignore()).await.unwrap();
    assert_eq!(call(&host, &id.to_string(), "hello").await, Err("actor_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_replaces_the_module_and_keeps_the_slot() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let id = start(&host, author.echo("1:", 1)).await;
    host.update_actor(id, author.echo("2:", 2), "v2", false, &Steps::ignore()).await.unwrap();
    assert_eq!(call(&host, &id.to_string(), "hello").await.unwrap(), "2:hello");
    let inventory = host.inventory();
    let running = &inventory.components[0];
    assert_eq!((running.revision, running.image_ref.as_str()), (2, "v2"));
    assert_eq!(running.wattle.as_ref().unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_module_is_refused_by_name_and_the_old_one_serves_on() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let id = start(&host, author.echo("1:", 2)).await;
    let mut changed = author.echo("X:", 3).to_vec();
    let at = changed.windows(2).position(|window| window == b"X:").unwrap();
    changed[at] = b'Y';
    let stranger = Author { account: KeyPair::generate(KeyKind::Account).unwrap(), ..author.another() };
    let cases: [(&str, Bytes); 7] = [
        ("wasm_malformed", "not wasm".into()),
        ("claims_missing", wat::parse_str("(module)").unwrap().into()),
        ("module_hash_mismatch", changed.into()),
        ("issuer_not_trusted", stranger.echo("1:", 3)),
        ("subject_changed", author.another().echo("1:", 3)),
        ("revision_too_low", author.echo("0:", 1)),
        ("export_missing", author.sign("(module (memory (export \"memory\") 1))", Actor::new("No").revision(3))),
    ];
    for (code, module) in cases {
        let refused = host.update_actor(id, module, "bad", false, &Steps::ignore()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert_eq!(call(&host, &id.to_string(), "still").await.unwrap(), "1:still");
    }
    host.update_actor(id, author.echo("0:", 1), "forced", true, &Steps::ignore()).await.unwrap();
    assert_eq!(call(&host, &id.to_string(), "back").await.unwrap(), "0:back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_finishes_in_the_module_it_began_in() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let host = host(&author, &script).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();

    script.hold.store(true, std::sync::atomic::Ordering::SeqCst);
    let caller = host.clone();
    let mut in_flight = Box::pin(async move { caller.call(&id.to_string(), "Get", "x".into(), None).await });
    assert!(futures::poll!(&mut in_flight).is_pending());
    while futures::poll!(&mut in_flight).is_pending()
        && futures::poll!(Box::pin(script.holding.notified())).is_pending()
    {
        tokio::task::yield_now().await;
    }
    let (sender, mut steps) = tokio::sync::mpsc::channel(16);
    let updater = host.clone();
    let module = author.echo("2:", 2);
    let steps_to = Steps::to(sender);
    let update = async move { updater.update_actor(id, module, "v2", true, &steps_to).await };
    let published = async {
        while let Some(step) = steps.recv().await {
            if step.name == "published" {
                assert_eq!(host.call(&id.to_string(), "Echo", "new".into(), None).await.unwrap(), "2:new");
                script.release.notify_waiters();
                script.release.notify_one();
            }
            if step.name == "drained" {
                return step.detail;
            }
        }
        "never drained".to_owned()
    };
    let (update, drained, in_flight) = tokio::join!(update, published, in_flight);
    update.unwrap();
    assert_eq!(drained, "1 in flight finished, 0 interrupted");
    assert_eq!(in_flight.unwrap(), "kv #1: Get");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_the_limit_wait_and_then_are_refused() {
    let (author, script) = (Author::new(), Arc::new(Script::default()));
    let config = HostConfig { max_in_flight: 1, max_queued: 1, ..HostConfig::default() };
    let host = host_with(&author, &script, config).await;
    let id = start(&host, author.forward(KEYVALUE, &[KEYVALUE], 1)).await;
    start_script(&host, "kv").await;
    host.put_link(link(id, "kv"), false).await.unwrap();
    script.hold.store(true, std::sync::atomic::Ordering::SeqCst);
    let target = id.to_string();
    let mut running = Box::pin(host.call(&target, "1", Bytes::new(), None));
    while futures::poll!(&mut running).is_pending() && futures::poll!(Box::pin(script.holding.notified())).is_pending()
    {
        tokio::task::yield_now().await;
    }
    let mut waiting = Box::pin(host.call(&target, "2", Bytes::new(), None));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(host.call(&target, "3", Bytes::new(), None).await.unwrap_err().code(), "overloaded");
    script.hold.store(false, std::sync::atomic::Ordering::SeqCst);
    script.release.notify_one();
    assert_eq!(running.await.unwrap(), "kv #1: 1");
    assert_eq!(waiting.await.unwrap(), "kv #1: 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_call_each_other_by_key_and_alias() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let echo = author.another();
    let module = echo.echo("echo:", 1);
    start(&host, module).await;
    let by_key = start(&host, author.forward(&echo.id().to_string(), &[], 1)).await;
    assert_eq!(call(&host, &by_key.to_string(), "x").await.unwrap(), "echo:x");
    let by_alias = author.another();
    start(&host, by_alias.forward("nobody", &[], 1)).await;
    let error = host.call(&by_alias.id().to_string(), "Echo", Bytes::new(), None).await.unwrap_err();
    assert_eq!((error.code(), error.root().code()), ("guest_failed", "actor_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_calls_itself_for_ever_is_ended() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let id = start(&host, author.forward(&author.id().to_string(), &[], 1)).await;
    let error = host.call(&id.to_string(), "Again", Bytes::new(), None).await.unwrap_err();
    assert_eq!(error.root().code(), "call_depth_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_alias_belongs_to_one_actor() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32) i32.const 1))"#;
    let id = start(&host, author.sign(wat, Actor::new("A").call_alias("the/alias"))).await;
    assert_eq!(host.find_actor("A").unwrap(), id);
    assert!(host.call("the/alias", "Any", Bytes::new(), Some(Duration::from_secs(1))).await.is_ok());
    let second = author.another().sign(wat, Actor::new("B").call_alias("the/alias"));
    let refused = host.start_actor(second, StartActor::default(), &Steps::ignore()).await.unwrap_err();
    assert_eq!(refused.code(), "alias_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_alias_is_that_of_the_running_version() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let version = |author: &Author, revision, alias: Option<&str>| {
        let actor = Actor::new("Echo").revision(revision);
        author.sign(&echo(""), alias.map_or(actor.clone(), |alias| actor.call_alias(alias)))
    };
    let answers = async |alias: &str| call(&host, alias, "hello").await.is_ok();
    let id = start(&host, version(&author, 1, Some("the/first"))).await;

    host.update_actor(id, version(&author, 2, Some("the/second")), "v2", false, &Steps::ignore()).await.unwrap();
    assert!(answers("the/second").await && !answers("the/first").await);
    start(&host, version(&author.another(), 1, Some("the/first"))).await;
    assert!(answers("the/first").await, "nobody has it any more");

    host.update_actor(id, version(&author, 3, None), "v3", false, &Steps::ignore()).await.unwrap();
    assert!(!answers("the/second").await);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v4.wasm");
    std::fs::write(&path, version(&author, 4, Some("the/fourth"))).unwrap();
    let reference = format!("file://{}", path.display());
    host.try_actor_from(id, &reference, 1, false, &Steps::ignore()).await.unwrap();
    assert!(!answers("the/fourth").await, "it is on trial");
    host.promote_actor(id, &Steps::ignore()).await.unwrap();
    assert!(answers("the/fourth").await);

    host.stop_actor(id, &Steps::ignore()).await.unwrap();
    assert!(!answers("the/fourth").await && answers("the/first").await);
    start(&host, version(&author.another(), 1, Some("the/fourth"))).await;
    assert!(answers("the/fourth").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_whose_claims_end_takes_no_calls_until_it_is_signed_anew() {
    let author = Author::new();
    let host = host(&author, &Arc::default()).await;
    let mut events = host.events();
    let ends = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 4;
    let id = start(&host, author.echo_until("1:", 1, ends)).await;
    assert_eq!(call(&host, &id.to_string(), "hello").await.unwrap(), "1:hello");
    let ended = async { while events.recv().await.unwrap().name != "claims_lapsed" {} };
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
    assert_eq!(call(&host, &id.to_string(), "hello").await, Err("claims_expired"));
    let inventory = host.inventory();
    let details = inventory.components[0].wattle.as_ref().unwrap();
    assert!(details.expires == Some(ends) && details.lapsed.as_ref().is_some_and(|why| why.contains("ended")));
    host.update_actor(id, author.echo("2:", 2), "v2", false, &Steps::ignore()).await.unwrap();
    assert_eq!(call(&host, &id.to_string(), "hello").await.unwrap(), "2:hello");
    assert_eq!(host.inventory().components[0].wattle.as_ref().unwrap().lapsed, None);
}
