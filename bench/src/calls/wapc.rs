//! The published crates `wapc` and `wasmtime-provider`, as their documentation uses them.

use anyhow::Result;
use bytes::Bytes;
use wapc::WapcHost;
use wasmtime_provider::{WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

use super::{Caller, Contestant, OPERATION};

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
        "wapc 2.2 + provider 2.25, fresh"
    }

    fn is_threaded(&self) -> bool {
        false
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self))
    }
}

impl Caller for &Fresh {
    fn call(&mut self, payload: &Bytes, times: u32) -> Result<usize> {
        let mut answered = 0;
        for _ in 0..times {
            answered = host(&self.0)?.call(OPERATION, payload)?.len();
        }
        Ok(answered)
    }
}

impl Contestant for Reused {
    fn name(&self) -> &'static str {
        "wapc 2.2 + provider 2.25, reused"
    }

    fn is_threaded(&self) -> bool {
        false
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(host(&self.0)?))
    }
}

impl Caller for WapcHost {
    fn call(&mut self, payload: &Bytes, times: u32) -> Result<usize> {
        let mut answered = 0;
        for _ in 0..times {
            answered = Self::call(self, OPERATION, payload)?.len();
        }
        Ok(answered)
    }
}

fn host(prepared: &WasmtimeEngineProviderPre) -> Result<WapcHost> {
    Ok(WapcHost::new(Box::new(prepared.rehydrate(None)?), None)?)
}
