//! The smallest host: no NATS, one actor, one call. Run it with a signed module:
//!
//! ```text
//! cargo run -p wattle-host --example embed -- target/actors/echo.wasm $(cat target/actors/issuer.pub)
//! ```

use std::io::Write;

use anyhow::{Context, Result};
use wattle_host::{Engine, EngineConfig, Host, StartActor, Steps};
use wattle_types::wascap::TrustPolicy;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let module = std::fs::read(arguments.next().context("which module?")?)?;
    let issuer = arguments.next().context("which issuer (A...) is trusted?")?.parse()?;
    let trust = TrustPolicy::new().trust_account(issuer)?;

    let engine = Engine::new(EngineConfig::default())?;
    let host = Host::builder(engine, trust).start().await?;
    let actor = host.start_actor(module.into(), StartActor::default(), &Steps::ignore()).await?;

    let answer = host.call(&actor.to_string(), "Echo", "hello".into(), None).await?;
    writeln!(std::io::stdout(), "{actor} answered {answer:?}")?;
    host.shutdown().await;
    Ok(())
}
