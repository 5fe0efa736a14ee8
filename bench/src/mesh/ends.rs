//! Both ends of each contestant.

use std::{io::Read, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::ValueEnum;
use futures::StreamExt;
use wattle_bus::{NatsBus, NatsOptions};
use wattle_host::{Engine, EngineConfig, Host, StartActor, Steps};
use wattle_wascap::{KeyKind, KeyPair, TrustPolicy};

use crate::guest;

/// Where the key is handed over by which both hosts know each other.
pub(super) const SEED_VARIABLE: &str = "WATTLE_BENCH_CLUSTER_SEED";
/// Where the bare responder listens.
const SUBJECT: &str = "bench.echo";
/// How long the hosts may take to find each other.
const FOUND_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// A host with an echo actor.
    Wattle,
    /// A responder on a subject.
    Nats,
}

impl End {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wattle => "ours: actor on another host",
            Self::Nats => "bare NATS request and reply",
        }
    }

    /// Returns the word the command line knows it by.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Wattle => "wattle",
            Self::Nats => "nats",
        }
    }
}

pub(super) fn cluster_seed() -> Result<String> {
    Ok(KeyPair::generate(KeyKind::Cluster)?.seed())
}

/// Answers calls, tells what to call on standard output, and ends when standard input does.
pub(crate) fn serve(end: End, url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let target = match end {
        End::Wattle => runtime.block_on(answer_as_host(url))?,
        End::Nats => runtime.block_on(answer_bare(url))?,
    };
    println!("{target}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the responder lives as long as its process")]
async fn answer_bare(url: &str) -> Result<String> {
    let client = async_nats::connect(url).await?;
    let mut requests = client.subscribe(SUBJECT).await?;
    client.flush().await?;
    tokio::task::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                client.publish(reply, request.payload).await?;
            }
        }
        anyhow::Ok(())
    });
    Ok(SUBJECT.to_owned())
}

async fn host(url: &str, seed: &str, trust: TrustPolicy) -> Result<Host> {
    let bus = NatsBus::connect(NatsOptions { urls: vec![url.to_owned()], ..NatsOptions::default() }).await?;
    let builder = Host::builder(Engine::new(EngineConfig::default())?, trust);
    Ok(builder.bus(Arc::new(bus)).cluster_key(KeyPair::from_seed(seed)?).start().await?)
}

async fn answer_as_host(url: &str) -> Result<String> {
    let seed = std::env::var(SEED_VARIABLE).context("no cluster key")?;
    let (module, issuer) = guest::signed_echo()?;
    let host = host(url, &seed, TrustPolicy::new().trust_account(issuer)?).await?;
    let actor = host.start_actor(module.into(), StartActor::default(), &Steps::ignore()).await?;
    // The host serves until the process ends.
    std::mem::forget(host);
    Ok(actor.to_string())
}

/// The end that calls.
pub(super) enum Caller {
    Wattle { host: Box<Host>, actor: String },
    Nats { client: async_nats::Client, subject: String },
}

impl Caller {
    pub(super) async fn connect(end: End, url: &str, seed: &str, target: &str) -> Result<Self> {
        if end == End::Nats {
            let client = async_nats::connect(url).await?;
            return Ok(Self::Nats { client, subject: target.to_owned() });
        }
        let caller =
            Self::Wattle { host: Box::new(host(url, seed, TrustPolicy::new()).await?), actor: target.to_owned() };
        let found = async {
            while caller.call(Bytes::new()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(FOUND_TIMEOUT, found).await.is_err() {
            bail!("the hosts do not find each other");
        }
        Ok(caller)
    }

    pub(super) async fn call(&self, payload: Bytes) -> Result<Bytes> {
        Ok(match self {
            Self::Wattle { host, actor } => host.call(actor, "echo", payload, None).await?,
            Self::Nats { client, subject } => client.request(subject.clone(), payload).await?.payload,
        })
    }
}
