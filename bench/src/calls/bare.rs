//! wasmtime with nothing but what an echo guest needs: what isolation costs without us.

use anyhow::{Result, anyhow};
use bytes::Bytes;
use wasmtime::{
    Caller as Guest, Config, Enabled, Engine, Extern, InstanceAllocationStrategy, InstancePre, Linker, Module,
    PoolingAllocationConfig, Store,
};

use super::{Caller, Contestant, OPERATION};

const MODULE: &str = "wapc";

/// A store, an instance, `wapc_init` and `__guest_call` for each call, on a tuned pool.
pub(super) struct Fresh(InstancePre<Call>);

struct Call {
    payload: Bytes,
    response: Vec<u8>,
}

impl Fresh {
    pub(super) fn new(wasm: &[u8]) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.linear_memory_keep_resident(2 << 20).table_keep_resident(64 << 10).pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).epoch_interruption(true);
        prepare(&config, wasm).map(Self).map_err(|error| anyhow!("{error:#}"))
    }

    fn call_once(&self, payload: &Bytes) -> wasmtime::Result<usize> {
        let call = Call { payload: payload.clone(), response: Vec::new() };
        let mut store = Store::new(self.0.module().engine(), call);
        store.set_epoch_deadline(1 << 40);
        let instance = self.0.instantiate(&mut store)?;
        instance.get_typed_func::<(), ()>(&mut store, "wapc_init")?.call(&mut store, ())?;
        let guest_call = instance.get_typed_func::<(u32, u32), i32>(&mut store, "__guest_call")?;
        let lengths = (OPERATION.len() as u32, payload.len() as u32);
        match guest_call.call(&mut store, lengths)? {
            1 => Ok(store.data().response.len()),
            _ => Err(wasmtime::format_err!("the guest failed")),
        }
    }
}

fn prepare(config: &Config, wasm: &[u8]) -> wasmtime::Result<InstancePre<Call>> {
    let engine = Engine::new(config)?;
    let module = Module::new(&engine, wasm)?;
    linker(&engine)?.instantiate_pre(&module)
}

impl Contestant for Fresh {
    fn name(&self) -> &'static str {
        "bare wasmtime 48, fresh"
    }

    fn is_threaded(&self) -> bool {
        true
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self))
    }
}

impl Caller for &Fresh {
    fn call(&mut self, payload: &Bytes, times: u32) -> Result<usize> {
        let mut answered = 0;
        for _ in 0..times {
            answered = self.call_once(payload).map_err(|error| anyhow!("{error:#}"))?;
        }
        Ok(answered)
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(MODULE, "__guest_request", |mut guest: Guest<'_, Call>, operation: u32, payload: u32| {
        let memory = memory(&mut guest)?;
        let (memory, call) = memory.data_and_store_mut(&mut guest);
        write(memory, operation, OPERATION.as_bytes())?;
        write(memory, payload, &call.payload)
    })?;
    linker.func_wrap(MODULE, "__guest_response", |mut guest: Guest<'_, Call>, at: u32, len: u32| {
        let memory = memory(&mut guest)?;
        let (memory, call) = memory.data_and_store_mut(&mut guest);
        let at = at as usize;
        call.response = memory.get(at..at + len as usize).ok_or_else(|| outside("response"))?.to_vec();
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap(MODULE, "__guest_error", |_: u32, _: u32| ())?;
    linker.func_wrap(MODULE, "__console_log", |_: u32, _: u32| ())?;
    linker.func_wrap(
        MODULE,
        "__host_call",
        |_: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| -> u32 { 0 },
    )?;
    linker.func_wrap(MODULE, "__host_response_len", || -> u32 { 0 })?;
    linker.func_wrap(MODULE, "__host_response", |_: u32| ())?;
    linker.func_wrap(MODULE, "__host_error_len", || -> u32 { 0 })?;
    linker.func_wrap(MODULE, "__host_error", |_: u32| ())?;
    Ok(linker)
}

fn memory(guest: &mut Guest<'_, Call>) -> wasmtime::Result<wasmtime::Memory> {
    guest.get_export("memory").and_then(Extern::into_memory).ok_or_else(|| wasmtime::format_err!("no memory"))
}

fn write(memory: &mut [u8], at: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let at = at as usize;
    let target = memory.get_mut(at..at + bytes.len()).ok_or_else(|| outside("buffer"))?;
    target.copy_from_slice(bytes);
    Ok(())
}

fn outside(what: &str) -> wasmtime::Error {
    wasmtime::format_err!("a {what} outside memory")
}
