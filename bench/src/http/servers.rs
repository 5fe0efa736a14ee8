//! The contestants: each says hello on a free port of the loopback.

use std::{collections::BTreeMap, io::Read, net::SocketAddr};

use anyhow::Result;
use clap::ValueEnum;
use tokio::net::TcpListener;
use wattle_host::{Host, StartActor, StartProvider, Steps};
use wattle_httpserver_hyper::HttpServerFactory;
use wattle_runtime::{Engine, EngineConfig};
use wattle_types::{LinkDefinition, LinkKey, LinkName};
use wattle_wascap::TrustPolicy;

use crate::guest;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// Wattle's host, its HTTP provider and its hello actor.
    Wattle,
    /// A handler in axum.
    Axum,
}

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wattle => "ours: host, provider, actor",
            Self::Axum => "axum 0.8.9, a native handler",
        }
    }

    /// Returns the word the command line knows it by.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Wattle => "wattle",
            Self::Axum => "axum",
        }
    }
}

/// Serves, tells the address on standard output, and ends when standard input does.
pub(crate) fn serve(server: Server) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let address = match server {
        Server::Axum => runtime.block_on(axum())?,
        Server::Wattle => runtime.block_on(wattle())?,
    };
    println!("{address}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the server lives as long as its process")]
async fn axum() -> Result<SocketAddr> {
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "Hello, world!" }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::task::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn wattle() -> Result<SocketAddr> {
    let (module, issuer) = guest::hello()?;
    let trust = TrustPolicy::new().trust_account(issuer.parse()?)?;
    let host = Host::builder(Engine::new(EngineConfig::default())?, trust)
        .provider_kind("httpserver", HttpServerFactory)
        .start()
        .await?;
    let steps = Steps::ignore();
    let provider = host.start_provider(StartProvider::new("builtin:httpserver"), &steps).await?;
    let actor = host.start_actor(module.into(), StartActor::default(), &steps).await?;
    let address = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?;
    let key = LinkKey { actor, contract: "wasmcloud:httpserver".parse()?, link_name: LinkName::default() };
    let values = BTreeMap::from([("address".to_owned(), address.to_string())]);
    host.put_link(LinkDefinition { key, provider, values }, false).await?;
    // The host serves until the process ends.
    std::mem::forget(host);
    Ok(address)
}
