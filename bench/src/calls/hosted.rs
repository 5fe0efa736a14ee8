//! Wattle's engine behind its host: look-up, admission and slot too.

use anyhow::Result;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use wattle_host::{Engine, EngineConfig, Host, StartActor, Steps};
use wattle_wascap::TrustPolicy;

use super::{Caller, Contestant, HOSTED, Request};
use crate::guest;

/// A host with an echo actor, called in its own process.
pub(super) struct Hosted {
    host: Host,
    actor: String,
    /// The host's own tasks run here, on a thread that has nothing else to do.
    _runtime: Runtime,
}

impl Hosted {
    pub(super) fn new() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (module, issuer) = guest::signed_echo()?;
        let (host, actor) = runtime.block_on(async {
            let trust = TrustPolicy::new().trust_account(issuer)?;
            let host = Host::builder(Engine::new(EngineConfig::default())?, trust).start().await?;
            let actor = host.start_actor(module.into(), StartActor::default(), &Steps::ignore()).await?;
            anyhow::Ok((host, actor.to_string()))
        })?;
        Ok(Self { host, actor, _runtime: runtime })
    }
}

impl Contestant for Hosted {
    fn name(&self) -> &'static str {
        HOSTED
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(Thread { hosted: self, runtime: Builder::new_current_thread().enable_time().build()? }))
    }
}

struct Thread<'a> {
    hosted: &'a Hosted,
    runtime: Runtime,
}

impl Caller for Thread<'_> {
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes> {
        let Hosted { host, actor, .. } = self.hosted;
        self.runtime.block_on(async {
            let mut answer = Bytes::new();
            for _ in 0..times {
                answer = host.call(actor, request.operation, request.payload.clone(), None).await?;
            }
            Ok(answer)
        })
    }
}
