//! What the tests of the host share: small guests in WAT, signed here, and a provider that does what a test says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;
use wattle_host::{Host, HostBuilder, HostConfig, StartActor, StartProvider, Steps};
use wattle_runtime::{Engine, EngineConfig};
use wattle_types::{
    ActorId, BoxFuture, ContractId, Handover, LinkDefinition, LinkKey, Provider, ProviderCall, ProviderContext,
    ProviderError, ProviderFactory,
    wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module},
};

pub(crate) const KEYVALUE: &str = "wasmcloud:keyvalue";

/// An account and a module key, and the modules they sign.
pub(crate) struct Author {
    pub(crate) account: KeyPair,
    pub(crate) module: KeyPair,
}

impl Author {
    pub(crate) fn new() -> Self {
        Self { account: key(KeyKind::Account), module: key(KeyKind::Module) }
    }

    /// Another actor of the same account.
    pub(crate) fn another(&self) -> Self {
        let account = KeyPair::from_seed(&self.account.seed()).unwrap();
        Self { account, module: key(KeyKind::Module) }
    }

    pub(crate) fn id(&self) -> ActorId {
        self.module.public_key().try_into().unwrap()
    }

    pub(crate) fn trust(&self) -> TrustPolicy {
        TrustPolicy::new().trust_account(self.account.public_key()).unwrap()
    }

    pub(crate) fn sign(&self, wat: &str, actor: Actor) -> Bytes {
        self.sign_claims(wat, &Claims::new(actor, self.module.public_key(), 1_700_000_000))
    }

    fn sign_claims(&self, wat: &str, claims: &Claims<Actor>) -> Bytes {
        let wasm = wat::parse_str(wat).unwrap();
        sign_module(&wasm, claims, &self.account).unwrap().into()
    }

    /// A guest that answers `prefix` followed by its payload.
    pub(crate) fn echo(&self, prefix: &str, revision: i32) -> Bytes {
        self.sign(&echo(prefix), Actor::new("Echo").revision(revision))
    }

    /// The same, with claims that end.
    pub(crate) fn echo_until(&self, prefix: &str, revision: i32, expires: u64) -> Bytes {
        let actor = Actor::new("Echo").revision(revision);
        let claims = Claims::new(actor, self.module.public_key(), 1_700_000_000).expires_at(expires);
        self.sign_claims(&echo(prefix), &claims)
    }

    /// A guest that passes every call on to `namespace`, and the answer or error back.
    pub(crate) fn forward(&self, namespace: &str, capabilities: &[&str], revision: i32) -> Bytes {
        let actor = capabilities
            .iter()
            .fold(Actor::new("Forward").revision(revision), |actor, capability| actor.capability(*capability));
        self.sign(&guest(&forward(), namespace, ""), actor)
    }

    /// The same over a link with a name of its own, spelled as in WAT.
    pub(crate) fn forward_over(&self, link_name: &str, namespace: &str) -> Bytes {
        let len = link_name.replace("\\n", "_").len();
        let named = guest(&forward(), namespace, "")
            .replace("(i32.const 768) (i32.const 0)", &format!("(i32.const 768) (i32.const {len})"))
            .replace("(data (i32.const 512)", &format!("(data (i32.const 768) \"{link_name}\") (data (i32.const 512)"));
        self.sign(&named, Actor::new("Forward").revision(1).capability(KEYVALUE))
    }

    /// A guest that passes every call on to the key-value store twice, and answers what it hears the second time.
    pub(crate) fn forward_twice(&self) -> Bytes {
        let body = format!("(drop {HOST_CALL}){}", forward());
        self.sign(&guest(&body, KEYVALUE, ""), Actor::new("Twice").revision(1).capability(KEYVALUE))
    }
}

pub(crate) fn echo(prefix: &str) -> String {
    let body = format!(
        "(memory.copy (i32.const 8192) (i32.const 512) (i32.const {len}))
         (memory.copy (i32.add (i32.const 8192) (i32.const {len})) (i32.const 4096) (local.get $payload_len))
         (call $response (i32.const 8192) (i32.add (i32.const {len}) (local.get $payload_len)))
         (i32.const 1)",
        len = prefix.len()
    );
    guest(&body, "", prefix)
}

fn key(kind: KeyKind) -> KeyPair {
    KeyPair::generate(kind).unwrap()
}

const HOST_CALL: &str = "
    (call $host_call (i32.const 768) (i32.const 0) (i32.const 256) (global.get $namespace_len)
        (i32.const 1024) (local.get $op_len) (i32.const 4096) (local.get $payload_len))";

fn forward() -> String {
    format!(
        "(if {HOST_CALL}
            (then
                (call $host_response (i32.const 8192))
                (call $response (i32.const 8192) (call $host_response_len))
                (return (i32.const 1))))
        (call $host_error (i32.const 8192))
        (call $error (i32.const 8192) (call $host_error_len))
        (i32.const 0)"
    )
}

/// A waPC guest: operation at 1024, payload at 4096, output at 8192.
fn guest(body: &str, namespace: &str, prefix: &str) -> String {
    format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__guest_error" (func $error (param i32 i32)))
            (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
            (import "wapc" "__host_response" (func $host_response (param i32)))
            (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
            (import "wapc" "__host_error" (func $host_error (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 256) "{namespace}")
            (data (i32.const 512) "{prefix}")
            (global $namespace_len i32 (i32.const {}))
            (func (export "__guest_call") (param $op_len i32) (param $payload_len i32) (result i32)
                (call $request (i32.const 1024) (i32.const 4096))
                {body}))"#,
        namespace.len()
    )
}

/// Starts a host without a bus that knows the scripted provider as `builtin:script`.
pub(crate) async fn host(author: &Author, script: &Arc<Script>) -> Host {
    host_with(author, script, HostConfig::default()).await
}

pub(crate) async fn host_with(author: &Author, script: &Arc<Script>, config: HostConfig) -> Host {
    builder(author, script, config).start().await.unwrap()
}

pub(crate) fn builder(author: &Author, script: &Arc<Script>, config: HostConfig) -> HostBuilder {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let builder = Host::builder(engine, author.trust()).config(config);
    builder.provider_kind("script", ScriptFactory(script.clone()))
}

pub(crate) async fn start(host: &Host, module: Bytes) -> ActorId {
    host.start_actor(module, StartActor::default(), &Steps::ignore()).await.unwrap()
}

pub(crate) async fn start_script(host: &Host, id: &str) {
    let options = StartProvider { id: Some(id.parse().unwrap()), ..StartProvider::new("builtin:script") };
    host.start_provider(options, &Steps::ignore()).await.unwrap();
}

pub(crate) fn link(actor: ActorId, provider: &str) -> LinkDefinition {
    LinkDefinition {
        key: LinkKey { actor, contract: KEYVALUE.parse().unwrap(), link_name: Default::default() },
        provider: provider.parse().unwrap(),
        values: BTreeMap::new(),
    }
}

/// What all providers of a test do, and what they saw.
#[derive(Default)]
pub(crate) struct Script {
    /// When set, `handle` waits for `release`.
    pub(crate) hold: AtomicBool,
    pub(crate) release: Notify,
    pub(crate) holding: Notify,
    /// When set, no link is accepted: what is behind the provider is not there.
    pub(crate) away: AtomicBool,
    /// When set, further providers serve another contract.
    pub(crate) turned: AtomicBool,
    /// When set, no further provider comes up.
    pub(crate) refuse: AtomicBool,
    pub(crate) created: AtomicUsize,
    pub(crate) log: Mutex<Vec<String>>,
}

impl Script {
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }
}

pub(crate) struct ScriptFactory(pub(crate) Arc<Script>);

impl ProviderFactory for ScriptFactory {
    fn create(
        &self,
        context: ProviderContext,
        predecessor: Option<Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async move {
            if self.0.refuse.load(Ordering::SeqCst) {
                return Err(ProviderError::BadConfig("told to refuse".into()));
            }
            let number = self.0.created.fetch_add(1, Ordering::SeqCst) + 1;
            let inherited = predecessor.and_then(Handover::take::<String>).unwrap_or_default();
            let config: String = context.config.iter().map(|(key, value)| format!(" {key}={value}")).collect();
            self.0.note(format!("{} #{number} created{inherited}{config}", context.id));
            let contract = if self.0.turned.load(Ordering::SeqCst) { "test:other" } else { KEYVALUE };
            let contracts = vec![contract.parse().unwrap()];
            Ok(Arc::new(Scripted { name: format!("{} #{number}", context.id), contracts, script: self.0.clone() }) as _)
        })
    }
}

/// Answers every call with its own name and the operation.
struct Scripted {
    name: String,
    contracts: Vec<ContractId>,
    script: Arc<Script>,
}

impl Provider for Scripted {
    fn contracts(&self) -> &[ContractId] {
        &self.contracts
    }

    fn repeatable(&self) -> &[&'static str] {
        &["Read"]
    }

    fn put_link(&self, link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.script.note(format!("{} linked", self.name));
        Box::pin(async move {
            if link.values.contains_key("slow") {
                self.script.holding.notify_one();
                std::future::pending::<()>().await;
            }
            match link.values.get("bad") {
                Some(_) => Err(ProviderError::BadConfig("bad is not allowed".into())),
                None if self.script.away.load(Ordering::SeqCst) => {
                    Err(ProviderError::BackendUnavailable("away".into()))
                }
                None => Ok(()),
            }
        })
    }

    fn delete_link<'a>(&'a self, _: &'a LinkKey) -> BoxFuture<'a, ()> {
        self.script.note(format!("{} unlinked", self.name));
        Box::pin(async {})
    }

    fn handle(&self, call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>> {
        Box::pin(async move {
            if self.script.hold.load(Ordering::SeqCst) {
                self.script.holding.notify_one();
                self.script.release.notified().await;
            }
            Ok(format!("{}: {}", self.name, call.operation).into())
        })
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover::new(format!(" after {}", self.name)))
    }

    fn quiesce(&self) -> BoxFuture<'_, ()> {
        self.script.note(format!("{} quiet", self.name));
        Box::pin(async {})
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.script.note(format!("{} closed", self.name));
        Box::pin(async {})
    }
}
