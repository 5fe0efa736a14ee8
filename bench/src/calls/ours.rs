//! Wattle's engine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use wattle_runtime::{Engine, EngineConfig, GuestCall, HostCall, HostCalls, Interrupt, Limits, ModuleImage, Prepared};
use wattle_types::{BoxFuture, Deadline};

use super::{Caller, Contestant, OURS, Request};

/// Every call in its own sandbox, which is the only way there is.
pub(crate) struct Fresh(Prepared);

impl Fresh {
    pub(crate) fn new(wasm: &[u8]) -> Result<Self> {
        let engine = Engine::new(EngineConfig::default())?;
        let image = ModuleImage { hash: [0; 32], wasm };
        Ok(Self(runtime()?.block_on(engine.prepare(image, Limits::default(), |_| ()))?))
    }
}

impl Contestant for Fresh {
    fn name(&self) -> &'static str {
        OURS
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(Thread { guest: &self.0, runtime: runtime()?, interrupt: Interrupt::default() }))
    }
}

struct Thread<'a> {
    guest: &'a Prepared,
    runtime: Runtime,
    interrupt: Interrupt,
}

impl Caller for Thread<'_> {
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes> {
        self.runtime.block_on(async {
            let mut answer = Bytes::new();
            for _ in 0..times {
                let call = GuestCall {
                    operation: request.operation,
                    payload: request.payload.clone(),
                    deadline: Deadline::after(Instant::now(), Duration::from_secs(10)),
                    interrupt: &self.interrupt,
                };
                answer = self.guest.call(call, Arc::new(Nobody)).await?;
            }
            Ok(answer)
        })
    }
}

/// An outside that serves nothing: the guests here ask for nothing.
struct Nobody;

impl HostCalls for Nobody {
    fn call<'a>(&'a self, _call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        Box::pin(async { Err("nobody is here".into()) })
    }

    fn log(&self, _line: &str) {}
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_time().build()?)
}
