//! A provider process: counts in memory, for the actors that are linked to it. Contract: `wasmcloud:keyvalue`.
//!
//! Reads one line of host data, subscribes to its subjects, and ends when the host says so. `counter.py` is the same in
//! Python; `docs/provider-processes.md` tells what goes over the wire.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    io,
};

use async_nats::{Client, ConnectOptions, Message};
use bytes::Bytes;
use data_encoding::BASE64;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wattle_wascap::KeyPair;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// What the host tells on standard input: a line of base64 of JSON. It has more fields.
#[derive(Deserialize)]
struct HostData {
    lattice_rpc_prefix: String,
    lattice_rpc_url: String,
    lattice_rpc_user_jwt: String,
    lattice_rpc_user_seed: String,
    provider_key: String,
    link_name: String,
}

#[derive(Deserialize)]
struct Link {
    actor_id: String,
    values: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Invocation {
    id: String,
    origin: Origin,
    operation: String,
    #[serde(with = "serde_bytes")]
    msg: Vec<u8>,
}

#[derive(Deserialize)]
struct Origin {
    public_key: String,
}

#[derive(Serialize, Default)]
struct InvocationResponse {
    invocation_id: String,
    #[serde(with = "serde_bytes")]
    msg: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Deserialize)]
struct IncrementRequest {
    key: String,
    value: i32,
}

/// Links by actor, and counters by actor and key.
#[derive(Default)]
struct Counters {
    links: HashMap<String, Link>,
    counters: HashMap<(String, String), i32>,
}

impl Counters {
    fn answer(&mut self, invocation: Invocation) -> InvocationResponse {
        let id = invocation.id.clone();
        match self.call(invocation) {
            Ok(msg) => InvocationResponse { invocation_id: id, msg, error: None },
            Err(error) => {
                InvocationResponse { invocation_id: id, error: Some(error.to_string()), ..Default::default() }
            }
        }
    }

    fn call(&mut self, invocation: Invocation) -> Result<Vec<u8>> {
        // The host waits a little and asks again when it reads these words.
        let link = self.links.get(&invocation.origin.public_key).ok_or("unlinked actor")?;
        if invocation.operation != "KeyValue.Increment" {
            return Err(format!("no operation {}", invocation.operation).into());
        }
        let request: IncrementRequest = rmp_serde::from_slice(&invocation.msg)?;
        let step: i32 = link.values.get("step").map_or(Ok(1), |step| step.parse())?;
        let counter = self.counters.entry((invocation.origin.public_key, request.key)).or_default();
        *counter = counter.checked_add(request.value.saturating_mul(step)).ok_or("the counter is full")?;
        Ok(rmp_serde::to_vec_named(&*counter)?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let host: HostData = serde_json::from_slice(&BASE64.decode(line.trim().as_bytes())?)?;
    let nats = connect(&host).await?;
    let subject = format!("wasmbus.rpc.{}.{}.{}", host.lattice_rpc_prefix, host.provider_key, host.link_name);
    serve(&nats, &subject).await?;
    nats.drain().await?;
    Ok(())
}

async fn connect(host: &HostData) -> Result<Client> {
    let user = std::sync::Arc::new(KeyPair::from_seed(&host.lattice_rpc_user_seed)?);
    let sign = move |nonce: Vec<u8>| {
        let signature = user.sign(&nonce).to_vec();
        async move { Ok(signature) }
    };
    Ok(ConnectOptions::with_jwt(host.lattice_rpc_user_jwt.clone(), sign).connect(&host.lattice_rpc_url).await?)
}

/// Serves calls, links and health until the host tells it to shut down.
async fn serve(nats: &Client, subject: &str) -> Result<()> {
    let mut counters = Counters::default();
    let mut calls = nats.subscribe(subject.to_owned()).await?;
    let mut puts = nats.subscribe(format!("{subject}.linkdefs.put")).await?;
    let mut deletes = nats.subscribe(format!("{subject}.linkdefs.del")).await?;
    let mut healths = nats.subscribe(format!("{subject}.health")).await?;
    let mut shutdowns = nats.subscribe(format!("{subject}.shutdown")).await?;
    loop {
        tokio::select! {
            Some(message) = calls.next() => {
                let answer = counters.answer(read(&message)?);
                respond(nats, &message, rmp_serde::to_vec_named(&answer)?).await?;
            }
            Some(message) = puts.next() => {
                let link: Link = read(&message)?;
                counters.links.insert(link.actor_id.clone(), link);
            }
            Some(message) = deletes.next() => {
                let link: Link = read(&message)?;
                counters.links.remove(&link.actor_id);
            }
            Some(message) = healths.next() => {
                let health = BTreeMap::from([("healthy", true)]);
                respond(nats, &message, rmp_serde::to_vec_named(&health)?).await?;
            }
            Some(message) = shutdowns.next() => return respond(nats, &message, Vec::new()).await,
            else => return Err("the connection to NATS has ended".into()),
        }
    }
}

fn read<T: DeserializeOwned>(message: &Message) -> Result<T> {
    Ok(rmp_serde::from_slice(&message.payload)?)
}

async fn respond(nats: &Client, message: &Message, answer: Vec<u8>) -> Result<()> {
    if let Some(reply) = &message.reply {
        nats.publish(reply.clone(), Bytes::from(answer)).await?;
    }
    Ok(())
}
