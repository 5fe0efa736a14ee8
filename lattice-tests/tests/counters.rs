//! Two generations of counter actors, made with the crates of their time, on one Redis key behind one host.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wattle_host::{Host, StartActor, StartProvider, Steps};
use wattle_httpserver_hyper::HttpServerFactory;
use wattle_keyvalue_redis::RedisFactory;
use wattle_lattice_tests::Guest;
use wattle_provider_testkit::RedisServer;
use wattle_types::{ActorId, ContractId, LinkDefinition, LinkKey, LinkName};
use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module};

use crate::rig::{bytes_of, engine, now};

/// A generation's names for the two contracts.
struct Generation {
    guest: Guest,
    http: &'static str,
    keyvalue: &'static str,
}

const WASMBUS: Generation =
    Generation { guest: Guest::WasmbusCounter, http: "wasmcloud:httpserver", keyvalue: "wasmcloud:keyvalue" };
const WASCC: Generation =
    Generation { guest: Guest::WasccCounter, http: "wascc:http_server", keyvalue: "wascc:keyvalue" };

/// A host with an HTTP server and Redis, and the account whose actors it runs.
struct Scene {
    host: Host,
    issuer: KeyPair,
    redis: RedisServer,
}

impl Scene {
    async fn start() -> Self {
        let issuer = KeyPair::generate(KeyKind::Account).unwrap();
        let trust = TrustPolicy::new().trust_account(issuer.public_key()).unwrap();
        let host = Host::builder(engine(), trust)
            .provider_kind("httpserver", HttpServerFactory)
            .provider_kind("keyvalue-redis", RedisFactory::default())
            .start()
            .await
            .unwrap();
        let redis = RedisServer::start().await;
        host.start_provider(StartProvider::new("builtin:httpserver"), &Steps::ignore()).await.unwrap();
        let store = StartProvider {
            config: BTreeMap::from([("url".into(), redis.url())]),
            ..StartProvider::new("builtin:keyvalue-redis")
        };
        host.start_provider(store, &Steps::ignore()).await.unwrap();
        Self { host, issuer, redis }
    }

    /// Signs and starts a counter, links it to Redis and to an address of its own, and returns the address.
    async fn start_counter(&self, generation: &Generation) -> SocketAddr {
        let key = KeyPair::generate(KeyKind::Module).unwrap();
        let actor = Actor::new(generation.guest.name()).capability(generation.http).capability(generation.keyvalue);
        let claims = Claims::new(actor, key.public_key(), now());
        let module = sign_module(&bytes_of(generation.guest), &claims, &self.issuer).unwrap();
        let actor = self.host.start_actor(Bytes::from(module), StartActor::default(), &Steps::ignore()).await.unwrap();
        self.link(actor, generation.keyvalue, "keyvalue-redis", BTreeMap::new()).await;
        let address = free_address().await;
        let listen = BTreeMap::from([("address".to_owned(), address.to_string())]);
        self.link(actor, generation.http, "httpserver", listen).await;
        address
    }

    async fn link(&self, actor: ActorId, contract: &str, provider: &str, values: BTreeMap<String, String>) {
        let contract: ContractId = contract.parse().unwrap();
        let key = LinkKey { actor, contract, link_name: LinkName::default() };
        let link = LinkDefinition { key, provider: provider.parse().unwrap(), values };
        self.host.put_link(link, false).await.unwrap();
    }

    async fn redis_get(&self, key: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.redis.port())).await.unwrap();
        stream.write_all(format!("GET {key}\r\nQUIT\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().nth(1).unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_two_generations_count_on_the_same_redis_key_through_http() {
    let scene = Scene::start().await;
    let wasmbus = scene.start_counter(&WASMBUS).await;
    let wascc = scene.start_counter(&WASCC).await;
    for round in 0..10 {
        assert_eq!(counted(wasmbus).await, 2 * round + 1);
        assert_eq!(counted(wascc).await, 2 * round + 2);
    }
    assert_eq!(scene.redis_get("counter:shared").await, "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_two_generations_lose_no_count_at_the_same_time() {
    const REQUESTS: i64 = 50;
    let scene = Arc::new(Scene::start().await);
    let addresses = [scene.start_counter(&WASMBUS).await, scene.start_counter(&WASCC).await];
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        for address in addresses {
            requests.spawn(counted(address));
        }
    }
    let mut seen = requests.join_all().await;
    seen.sort_unstable();
    assert_eq!(seen, (1..=2 * REQUESTS).collect::<Vec<_>>());
}

/// Asks a counter over HTTP and returns what it counted.
async fn counted(address: SocketAddr) -> i64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: counter\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["counter"].as_i64().unwrap()
}

/// Returns an address nobody listens on. Another program may take it before the provider does; then the test fails
/// loudly.
async fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}
