//! The conformance suites against a real Redis, and how this back end behaves when Redis does not.
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;
use wattle_keyvalue_redis::{Redis, RedisFactory, RedisStore};
use wattle_provider_sdk::{KeyValue, KeyValueKind, Settings};
use wattle_provider_testkit::{ProviderSubject, RedisServer, Rig, StoreSubject};
use wattle_types::{ProviderError, ProviderFactory};

struct Subject {
    store: RedisStore,
    _server: RedisServer,
}

impl StoreSubject for Subject {
    type Store = RedisStore;

    fn store(&self) -> &RedisStore {
        &self.store
    }

    /// Redis has no clock of ours: this is the one place that waits for real.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

struct Kind {
    factory: RedisFactory,
    url: String,
    _server: Option<RedisServer>,
}

impl ProviderSubject for Kind {
    fn factory(&self) -> &dyn ProviderFactory {
        &self.factory
    }

    fn config(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("url".into(), "redis://127.0.0.1:1/".into())])
    }

    /// Spelled as links of the 0.x provider spell it.
    fn values(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("URL".into(), self.url.clone())])
    }
}

async fn open(values: &[(&str, &str)]) -> Result<RedisStore, ProviderError> {
    let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Redis.open(&Settings::parse(&values, Redis::LINK_SETTINGS)?).await
}

async fn subject() -> Subject {
    let server = RedisServer::start().await;
    Subject { store: open(&[("url", &server.url())]).await.unwrap(), _server: server }
}

async fn kind() -> Kind {
    let server = RedisServer::start().await;
    Kind { factory: RedisFactory::default(), url: server.url(), _server: Some(server) }
}

mod store {
    wattle_provider_testkit::keyvalue_store_suite!(super::subject, tokio::test);
}

mod provider {
    wattle_provider_testkit::keyvalue_provider_suite!(super::kind, tokio::test);
}

#[tokio::test]
async fn prefixes_keep_links_apart_on_one_database() {
    let server = RedisServer::start().await;
    let url = server.url();
    let a = open(&[("url", &url), ("prefix", "a:")]).await.unwrap();
    let b = open(&[("url", &url), ("prefix", "b:")]).await.unwrap();
    let plain = open(&[("url", &url)]).await.unwrap();
    a.increment("n", 1).await.unwrap();
    b.set_add("s", "x".into()).await.unwrap();
    assert_eq!(b.get("n").await.unwrap(), None);
    assert_eq!(plain.get("a:n").await.unwrap().as_deref(), Some("1"));
    assert_eq!(b.set_union(&["s".into()]).await.unwrap(), ["x"]);
    assert_eq!(plain.set_intersection(&["b:s".into()]).await.unwrap(), ["x"]);
}

#[tokio::test]
async fn what_is_not_text_is_an_error() {
    let server = RedisServer::start().await;
    let store = open(&[("url", &server.url())]).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("k").arg(&[0xff_u8, 0xfe][..]).query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(store.get("k").await.unwrap_err().to_string(), "the value in Redis is not text in UTF-8");
    assert!(store.contains("k").await.unwrap(), "the connection is as good as before");
}

#[tokio::test]
async fn what_others_wrote_is_counted_before_it_is_sent() {
    let server = RedisServer::start().await;
    let store = open(&[("url", &server.url())]).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SETRANGE").arg("k").arg(16 << 20).arg("x").query_async::<()>(&mut connection).await.unwrap();
    let refused = store.get("k").await.unwrap_err().to_string();
    assert_eq!(refused, "an answer of 16777241 bytes exceeds the limit of 16777216");
    assert!(store.contains("k").await.unwrap(), "the connection is as good as before");
    // As a Redis that was started anew has.
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(store.get("missing").await, Ok(None));
}

#[tokio::test]
async fn more_sets_than_a_script_can_take_are_refused() {
    let server = RedisServer::start().await;
    let store = open(&[("url", &server.url())]).await.unwrap();
    store.set_add("s0", "x".into()).await.unwrap();
    let keys: Vec<String> = (0..4097).map(|n| format!("s{n}")).collect();
    assert_eq!(store.set_union(&keys[..4096]).await.unwrap(), ["x"]);
    let refused = store.set_union(&keys).await.unwrap_err().to_string();
    assert_eq!(refused, "more than 4096 sets cannot be combined at once");
}

#[tokio::test]
async fn bad_configuration_is_refused_with_an_example() {
    let error = |values| async move { open(values).await.unwrap_err().to_string() };
    assert!(error(&[]).await.contains("redis://localhost:6379/0"));
    assert!(error(&[("url", "http://x")]).await.contains("redis://localhost:6379/0"));
    assert!(error(&[("url", "rediss://localhost")]).await.contains("TLS"));
    assert!(error(&[("url", "redis://localhost"), ("timeout_ms", "0")]).await.contains("1 to 60000"));
}

#[tokio::test]
async fn errors_never_show_the_password() {
    let error = open(&[("url", "redis://user:sesame@127.0.0.1:1/")]).await.unwrap_err();
    assert_eq!(error.code(), "backend_unavailable");
    assert!(!format!("{error} {error:?}").contains("sesame"));
    let server = RedisServer::start().await;
    let error = open(&[("url", &server.url().replace("//", "//user:sesame@"))]).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
}

#[tokio::test]
async fn an_unreachable_redis_is_told_at_once() {
    let kind = Kind { factory: RedisFactory::default(), url: "redis://127.0.0.1:1/".into(), _server: None };
    let rig = Rig::start(&kind, None).await.unwrap();
    let begun = Instant::now();
    assert_eq!(rig.put("wasmcloud:keyvalue").await.unwrap_err().code(), "backend_unavailable");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_crashed_redis_is_unavailable_and_heals_when_it_is_back() {
    let server = RedisServer::start().await;
    let port = server.port();
    let kind = Kind { factory: RedisFactory::default(), url: server.url(), _server: None };
    let rig = Rig::start(&kind, None).await.unwrap();
    rig.put("wascc:keyvalue").await.unwrap();
    let count = || rig.call("wascc:keyvalue", "Add", json!({"key": "n", "value": 1}));
    assert_eq!(count().await.unwrap(), json!({"value": 1}));

    server.kill().await;
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(count().await.unwrap_err().code(), "backend_unavailable");
        assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
    }
    assert_eq!(rig.provider.health().await.unwrap_err().code(), "backend_unavailable");

    let _back = RedisServer::start_at(port).await.unwrap();
    assert_eq!(count().await.unwrap(), json!({"value": 1}), "the very next call works, and counts once");
    rig.provider.health().await.unwrap();
}

#[tokio::test]
async fn a_silent_redis_costs_no_more_than_the_callers_deadline() {
    let server = RedisServer::start().await;
    let kind = Kind { factory: RedisFactory::default(), url: server.url(), _server: None };
    let rig = Rig::start(&kind, None).await.unwrap();
    rig.put("wascc:keyvalue").await.unwrap();
    rig.call("wascc:keyvalue", "Add", json!({"key": "n", "value": 1})).await.unwrap();

    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (mut silence, mut pipe) = (redis::cmd("DEBUG"), redis::pipe());
    pipe.add_command(silence.arg("SLEEP").arg("3").clone()).ignore();
    let asleep = tokio::time::timeout(Duration::from_millis(200), pipe.query_async::<()>(&mut connection)).await;
    assert!(asleep.is_err(), "the server is asleep");

    let begun = Instant::now();
    let short = Duration::from_millis(100);
    let error = rig.call_within(short, "wascc:keyvalue", "Get", json!({"key": "n"})).await.unwrap_err();
    assert_eq!(error, ProviderError::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    let error = rig.call("wascc:keyvalue", "Get", json!({"key": "n"})).await.unwrap_err();
    assert!(error.to_string().contains("does not answer in time"), "{error}");
    let healed = async { while rig.call("wascc:keyvalue", "Get", json!({"key": "n"})).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), healed).await.unwrap();
}

/// Connects as somebody else, to do what an operator does.
async fn operator(server: &RedisServer, password: &str) -> redis::aio::MultiplexedConnection {
    let url = server.url().replace("//", &format!("//:{password}@"));
    let url = if password.is_empty() { server.url() } else { url };
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn tell(connection: &mut redis::aio::MultiplexedConnection, words: &[&str]) {
    let (name, arguments) = words.split_first().unwrap();
    redis::cmd(name).arg(arguments).query_async::<redis::Value>(connection).await.unwrap();
}

async fn close_others(connection: &mut redis::aio::MultiplexedConnection) {
    tell(connection, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_call() {
    let server = RedisServer::start().await;
    let store = open(&[("url", &server.url())]).await.unwrap();
    let mut operator = operator(&server, "").await;
    for n in 1..=10 {
        assert_eq!(store.increment("n", 1).await, Ok(n), "nothing was sent yet, so it is sent over a new one");
        close_others(&mut operator).await;
        // Answered after the close was sent, and read by the same thread.
        tell(&mut operator, &["PING"]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_login_refused_while_reconnecting_is_tried_again() {
    let server = RedisServer::start().await;
    let mut operator = operator(&server, "").await;
    tell(&mut operator, &["CONFIG", "SET", "requirepass", "old"]).await;
    let url = server.url().replace("//", "//:old@");
    let kind = Kind { factory: RedisFactory::default(), url, _server: None };
    let rig = Rig::start(&kind, None).await.unwrap();
    rig.put("wascc:keyvalue").await.unwrap();
    let count = || rig.call("wascc:keyvalue", "Add", json!({"key": "n", "value": 1}));
    assert_eq!(count().await.unwrap(), json!({"value": 1}));

    tell(&mut operator, &["CONFIG", "SET", "requirepass", "new"]).await;
    close_others(&mut operator).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    for _ in 0..3 {
        assert!(count().await.unwrap_err().to_string().contains("refuses the credentials"));
    }
    assert_eq!(rig.provider.health().await.unwrap_err().code(), "backend_unavailable");
    let next = Rig::start(&kind, rig.provider.handover()).await.unwrap();
    let refused = next.put("wascc:keyvalue").await.unwrap_err();
    assert_eq!(refused.code(), "backend_unavailable", "an update does not hand over what does not work");

    tell(&mut operator, &["CONFIG", "SET", "requirepass", "old"]).await;
    assert_eq!(count().await.unwrap(), json!({"value": 2}));
    rig.provider.health().await.unwrap();
    next.put("wascc:keyvalue").await.unwrap();
}

#[tokio::test]
async fn each_class_of_error_ends_with_its_cause() {
    let server = RedisServer::start().await;
    let store = open(&[("url", &server.url())]).await.unwrap();
    let mut operator = operator(&server, "").await;
    assert_eq!(store.increment("n", 1).await, Ok(1));
    let classes: [(&str, &[&str], &[&str]); 5] = [
        ("rights", &["ACL", "SETUSER", "default", "-incrby"], &["ACL", "SETUSER", "default", "+incrby"]),
        ("memory", &["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        ("role", &["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (
            "replicas",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        ("protocol", &["SET", "n", "x"], &["SET", "n", "1"]),
    ];
    for (n, (class, cause, cure)) in (2..).zip(classes) {
        tell(&mut operator, cause).await;
        for _ in 0..3 {
            store.increment("n", 1).await.expect_err(class);
        }
        tell(&mut operator, cure).await;
        let n = if class == "protocol" { 2 } else { n };
        assert_eq!(store.increment("n", 1).await, Ok(n), "{class}");
    }
}

#[tokio::test]
async fn a_redis_that_cannot_save_is_unavailable_until_it_can() {
    let server = RedisServer::start().await;
    let store = open(&[("url", &server.url())]).await.unwrap();
    let mut operator = operator(&server, "").await;
    std::fs::remove_dir_all(server.directory()).unwrap();
    tell(&mut operator, &["CONFIG", "SET", "save", "3600 1"]).await;
    tell(&mut operator, &["SET", "k", "v"]).await;
    tell(&mut operator, &["BGSAVE"]).await;
    let stopped = async { while store.increment("n", 1).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
    let error = store.increment("n", 1).await.unwrap_err();
    assert_eq!(error.code(), "backend_unavailable", "{error}");
    tell(&mut operator, &["CONFIG", "SET", "save", ""]).await;
    assert!(store.increment("n", 1).await.is_ok());
}
