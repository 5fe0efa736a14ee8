//! The published crates `wapc` and `wasmtime-provider`, as their documentation uses them.

use anyhow::Result;
use bytes::Bytes;
use wapc::WapcHost;
use wasmtime_provider::{WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

use super::{Caller, Contestant, Request, WAPC_FRESH, WAPC_REUSED};

/// A host for each call, from a prepared module: isolation the fast way their documentation names.
pub(super) struct Fresh(WasmtimeEngineProviderPre);

/// One host for all calls of a thread.
pub(super) struct Reused(WasmtimeEngineProviderPre);

impl Fresh {
    pub(super) fn new(wasm: &[u8]) -> Result<Self> {
        Ok(Self(WasmtimeEngineProviderBuilder::new().module_bytes(wasm).build_pre()?))
    }
}

impl Reused {
    pub(super) fn new(wasm: &[u8]) -> Result<Self> {
        Ok(Self(Fresh::new(wasm)?.0))
    }
}

impl Contestant for Fresh {
    fn name(&self) -> &'static str {
        WAPC_FRESH
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self))
    }
}

impl Caller for &Fresh {
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes> {
        let mut answer = Vec::new();
        for _ in 0..times {
            answer = host(&self.0)?.call(request.operation, &request.payload)?;
        }
        Ok(answer.into())
    }
}

impl Contestant for Reused {
    fn name(&self) -> &'static str {
        WAPC_REUSED
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(host(&self.0)?))
    }
}

impl Caller for WapcHost {
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes> {
        let mut answer = Vec::new();
        for _ in 0..times {
            answer = Self::call(self, request.operation, &request.payload)?;
        }
        Ok(answer.into())
    }
}

fn host(prepared: &WasmtimeEngineProviderPre) -> Result<WapcHost> {
    Ok(WapcHost::new(Box::new(prepared.rehydrate(None)?), None)?)
}
