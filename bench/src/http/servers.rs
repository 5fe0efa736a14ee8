//! The contestants that are part of this program: each answers on a free port of the loopback.

use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tokio::{net::TcpListener, runtime::Runtime};
use wattle_host::{EngineConfig, Host, StartActor, StartProvider, Steps};
use wattle_httpserver_hyper::HttpServerFactory;
use wattle_keyvalue_memory::MemoryFactory;
use wattle_types::{ActorId, LinkDefinition, LinkKey, LinkName, ProviderId};
use wattle_wascap::TrustPolicy;

use super::{AXUM, Expect, OURS, OURS_KV, OURS_MIXED, neighbours::Neighbours};
use crate::{guest, helper::answer_lines};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// Wattle's host, its HTTP provider and its hello actor.
    Hello,
    /// The same, with long calls left among all others.
    Mixed,
    /// The same with the counter actor and the key-value provider in memory.
    Counter,
    /// A handler in axum.
    Axum,
}

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hello => OURS,
            Self::Mixed => OURS_MIXED,
            Self::Counter => OURS_KV,
            Self::Axum => AXUM,
        }
    }

    /// Returns the word the command line knows it by.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Mixed => "mixed",
            Self::Counter => "counter",
            Self::Axum => "axum",
        }
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Hello | Self::Mixed | Self::Axum => "/",
            Self::Counter => "/counter/bench",
        }
    }

    pub(super) const fn expect(self) -> Expect {
        match self {
            Self::Hello | Self::Mixed => Expect::Body(b"hello from /\n"),
            Self::Axum => Expect::Body(b"Hello, world!"),
            Self::Counter => Expect::Counter,
        }
    }
}

/// Serves, tells the address on standard output, and ends when standard input does.
///
/// A host understands `start FILE` there: it starts an actor whose issuer is trusted beforehand, answers with the
/// milliseconds that took, and stops it. The rest it understands is said at [`Neighbours`].
pub(crate) fn serve(server: Server, trusted: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if server == Server::Axum {
        println!("{}", runtime.block_on(axum())?);
        return answer_lines(|_| bail!("axum understands nothing"));
    }
    let (host, address) = runtime.block_on(wattle(server, trusted))?;
    println!("{address}");
    let mut neighbours = Neighbours::new(&host, &runtime);
    answer_lines(|words| match words {
        ["start", file] => start(&runtime, &host, file),
        words => neighbours.answer(words),
    })
}

fn start(runtime: &Runtime, host: &Host, file: &str) -> Result<String> {
    runtime.block_on(async {
        let begun = Instant::now();
        let reference = format!("file://{file}");
        let actor = host.start_actor_from(&reference, StartActor::default(), &Steps::ignore()).await?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        host.stop_actor(actor, &Steps::ignore()).await?;
        Ok(took.to_string())
    })
}

#[expect(clippy::disallowed_methods, reason = "the server lives as long as its process")]
async fn axum() -> Result<SocketAddr> {
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "Hello, world!" }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::task::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn wattle(server: Server, trusted: &[String]) -> Result<(Host, SocketAddr)> {
    let name = if server == Server::Counter { "counter-v1" } else { "hello" };
    let (module, issuer) = guest::example(name)?;
    let mut trust = TrustPolicy::new().trust_account(issuer.parse()?)?;
    for issuer in trusted {
        trust = trust.trust_account(issuer.parse()?)?;
    }
    let default = EngineConfig::default();
    let long_call_threads = if server == Server::Mixed { 0 } else { default.long_call_threads };
    let engine = wattle_host::Engine::new(EngineConfig { long_call_threads, ..default })?;
    let builder = Host::builder(engine, trust);
    let host = builder
        .provider_kind("httpserver", HttpServerFactory)
        .provider_kind("keyvalue-memory", MemoryFactory::default())
        .start()
        .await?;
    let http = provider(&host, "httpserver").await?;
    let actor = host.start_actor(module.into(), StartActor::default(), &Steps::ignore()).await?;
    if server == Server::Counter {
        let store = provider(&host, "keyvalue-memory").await?;
        link(&host, actor, "wasmcloud:keyvalue", store, BTreeMap::new()).await?;
    }
    let address = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?;
    let values = BTreeMap::from([("address".to_owned(), address.to_string())]);
    link(&host, actor, "wasmcloud:httpserver", http, values).await?;
    Ok((host, address))
}

pub(super) async fn provider(host: &Host, kind: &str) -> Result<ProviderId> {
    let options = StartProvider::new(&format!("builtin:{kind}"));
    host.start_provider(options, &Steps::ignore()).await.with_context(|| kind.to_owned())
}

/// Links an actor to a provider.
pub(crate) async fn link(
    host: &Host,
    actor: ActorId,
    contract: &str,
    provider: ProviderId,
    values: BTreeMap<String, String>,
) -> Result<()> {
    let key = LinkKey { actor, contract: contract.parse()?, link_name: LinkName::default() };
    Ok(host.put_link(LinkDefinition { key, provider, values }, false).await?)
}
