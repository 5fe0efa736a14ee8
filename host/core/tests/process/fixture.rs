//! A provider as a process, for tests: reads its host data, then does what calls tell it, also what it should not.

use std::{
    collections::BTreeMap,
    io::Read as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use data_encoding::BASE64;
use serde::Deserialize;
use tokio_util::task::TaskTracker;
use wattle_bus::{Bus as _, Message, NatsBus, NatsOptions, Subscription};
use wattle_types::{
    rpc::{Entity, Invocation, InvocationResponse},
    wascap::{InvocationFacts, KeyKind, KeyPair, TrustPolicy, sign_invocation, verify_invocation},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct HostData {
    host_id: String,
    lattice_rpc_prefix: String,
    link_name: String,
    lattice_rpc_url: String,
    provider_key: String,
    invocation_seed: String,
    cluster_issuers: Vec<String>,
    #[serde(default)]
    config_json: String,
}

#[derive(Deserialize, Clone)]
struct Link {
    actor_id: String,
    link_name: String,
    contract_id: String,
    values: BTreeMap<String, String>,
}

struct Fixture {
    data: HostData,
    bus: NatsBus,
    links: Mutex<BTreeMap<String, Link>>,
    store: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut line = String::new();
    std::io::stdin().read_to_string(&mut line)?;
    let data: HostData = serde_json::from_slice(&BASE64.decode(line.trim_end().as_bytes())?)?;
    if data.config_json.contains("exit") {
        std::process::exit(7);
    }
    let urls = vec![data.lattice_rpc_url.clone()];
    let bus = NatsBus::connect(NatsOptions { urls, ..NatsOptions::default() }).await?;
    let subject = format!("wasmbus.rpc.{}.{}.{}", data.lattice_rpc_prefix, data.provider_key, data.link_name);
    let mut calls = bus.subscribe(&subject, Some("rpc")).await?;
    let mut puts = bus.subscribe(&format!("{subject}.linkdefs.put"), None).await?;
    let mut dels = bus.subscribe(&format!("{subject}.linkdefs.del"), None).await?;
    let mut shutdown = bus.subscribe(&format!("{subject}.shutdown"), None).await?;
    let mut health = bus.subscribe(&format!("{subject}.health"), None).await?;
    let fixture = Arc::new(Fixture { data, bus, links: Mutex::default(), store: Mutex::default() });
    let tasks = TaskTracker::new();
    loop {
        tokio::select! {
            biased;
            Some(message) = shutdown.next() => if fixture.ends(&message).await? { return Ok(()) },
            Some(message) = dels.next() => fixture.unlink(&message)?,
            Some(message) = puts.next() => fixture.link(&message)?,
            Some(message) = health.next() => fixture.reply(&message, rmp_serde::to_vec_named(&healthy())?).await?,
            Some(message) = next(&mut calls) => {
                let fixture = fixture.clone();
                tasks.spawn(async move { fixture.answer(message).await });
            }
        }
    }
}

async fn next(calls: &mut Subscription) -> Option<Message> {
    calls.next().await
}

fn healthy() -> BTreeMap<&'static str, bool> {
    BTreeMap::from([("healthy", true)])
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fixture {
    async fn reply(&self, message: &Message, bytes: Vec<u8>) -> Result<(), Failure> {
        if let Some(reply) = &message.reply {
            self.bus.publish(reply, None, &[], bytes.into()).await?;
        }
        Ok(())
    }

    async fn ends(&self, message: &Message) -> Result<bool, Failure> {
        let request: BTreeMap<String, String> = serde_json::from_slice(&message.payload)?;
        if request.get("host_id") != Some(&self.data.host_id) || self.data.config_json.contains("deaf") {
            return Ok(false);
        }
        self.reply(message, b"shutting down".to_vec()).await?;
        self.bus.drain().await;
        Ok(true)
    }

    /// As published SDKs do: a second put for an actor is ignored.
    fn link(&self, message: &Message) -> Result<(), Failure> {
        let link: Link = rmp_serde::from_slice(&message.payload)?;
        locked(&self.links).entry(link.actor_id.clone()).or_insert(link);
        Ok(())
    }

    fn unlink(&self, message: &Message) -> Result<(), Failure> {
        let link: Link = rmp_serde::from_slice(&message.payload)?;
        locked(&self.links).remove(&link.actor_id);
        Ok(())
    }

    async fn answer(&self, message: Message) {
        let Ok(invocation) = rmp_serde::from_slice::<Invocation>(&message.payload) else { return };
        let response = match self.work(&invocation).await {
            Ok(msg) => InvocationResponse { msg, invocation_id: invocation.id, ..Default::default() },
            Err(error) => InvocationResponse {
                error: Some(error.to_string()),
                invocation_id: invocation.id,
                ..Default::default()
            },
        };
        if let Ok(bytes) = rmp_serde::to_vec_named(&response) {
            let _caller_may_have_left = self.reply(&message, bytes).await;
        }
    }

    fn check(&self, invocation: &Invocation) -> Result<Link, Failure> {
        let mut trust = TrustPolicy::new();
        for issuer in &self.data.cluster_issuers {
            trust = trust.trust_cluster(issuer.parse()?)?;
        }
        let facts = InvocationFacts {
            origin_url: &invocation.origin.url(),
            target_url: &invocation.target.url(),
            operation: &invocation.operation,
            message: &invocation.msg,
        };
        verify_invocation(&invocation.encoded_claims, &invocation.id, &facts, now(), &trust)?;
        let actor = &invocation.origin.public_key;
        let link = locked(&self.links).get(actor).cloned();
        link.ok_or_else(|| format!("unlinked actor: '{actor}'").into())
    }

    async fn work(&self, invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        let link = self.check(invocation)?;
        let message = &invocation.msg;
        match invocation.operation.as_str() {
            "Set" => {
                let at = message.iter().position(|byte| *byte == b'=').ok_or("no =")?;
                let (key, value) = message.split_at(at);
                locked(&self.store).insert(key.to_vec(), value.to_vec());
                Ok(Vec::new())
            }
            "Get" => Ok(locked(&self.store).get(message).cloned().unwrap_or_default()),
            "Values" => Ok(serde_json::to_vec(&link.values)?),
            "Names" => Ok(std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().join(",").into()),
            "Pid" => Ok(std::process::id().to_string().into()),
            "Back" => Ok([b"back: ", message.as_slice()].concat()),
            "Children" => Ok(children()?.into()),
            "Crash" => std::process::exit(3),
            "CallActor" => self.send(&self.sign(&link, message, &self.key()?)?).await,
            "Forge" => self.send(&self.sign(&link, message, &KeyPair::generate(KeyKind::Cluster)?)?).await,
            "Replay" => {
                let invocation = self.sign(&link, message, &self.key()?)?;
                self.send(&invocation).await?;
                self.send(&invocation).await
            }
            "Tamper" => {
                let invocation = self.sign(&link, message, &self.key()?)?;
                self.send(&Invocation { msg: b"another".to_vec(), ..invocation }).await
            }
            "Pretend" => {
                let link = Link { link_name: "other".into(), ..link };
                self.send(&self.sign(&link, message, &self.key()?)?).await
            }
            operation => Err(format!("no operation {operation}").into()),
        }
    }

    fn key(&self) -> Result<KeyPair, Failure> {
        Ok(KeyPair::from_seed(&self.data.invocation_seed)?)
    }

    fn sign(&self, link: &Link, message: &[u8], key: &KeyPair) -> Result<Invocation, Failure> {
        let (public_key, link_name, contract_id) =
            (self.data.provider_key.clone(), link.link_name.clone(), link.contract_id.clone());
        let origin = Entity { public_key, link_name, contract_id };
        let target = Entity { public_key: link.actor_id.clone(), ..Entity::default() };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let (origin_url, target_url) = (origin.url(), target.url());
        let facts = InvocationFacts { origin_url: &origin_url, target_url: &target_url, operation: "Back", message };
        let encoded_claims = sign_invocation(&id, &facts, key, now(), 60)?;
        Ok(Invocation {
            origin,
            target,
            operation: "Back".into(),
            msg: message.to_vec(),
            id,
            encoded_claims,
            host_id: self.data.host_id.clone(),
            content_length: None,
            trace_context: None,
        })
    }

    async fn send(&self, invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        let subject = format!("wasmbus.rpc.{}.{}", self.data.lattice_rpc_prefix, invocation.target.public_key);
        let bytes = rmp_serde::to_vec_named(invocation)?;
        let answer = self.bus.request(&subject, &[], bytes.into(), Duration::from_secs(5)).await?;
        let response: InvocationResponse = rmp_serde::from_slice(&answer.payload)?;
        response.error.map_or(Ok(response.msg), |error| Err(error.into()))
    }
}

/// Starts one child of this process's group and one with a session of its own, and tells their numbers.
fn children() -> Result<String, Failure> {
    let start = |command: &mut std::process::Command| command.stdin(std::process::Stdio::null()).spawn();
    let plain = start(std::process::Command::new("/bin/sleep").arg("1000"))?;
    let mut apart = start(
        std::process::Command::new("/bin/sh").args(["-c", "exec setsid sleep 1000"]).env("PATH", "/usr/bin:/bin"),
    )?;
    let pids = format!("{} {}", plain.id(), apart.id());
    // Not waited for, as those who start daemons do.
    drop(apart.try_wait());
    Ok(pids)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
