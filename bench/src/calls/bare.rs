//! wasmtime with nothing but what a waPC guest needs: what isolation costs without us, and what a call costs without
//! isolation.

use anyhow::{Result, anyhow};
use bytes::Bytes;
use wasmtime::{
    Caller as Guest, Config, Enabled, Engine, Extern, InstanceAllocationStrategy, InstancePre, Linker, Module,
    PoolingAllocationConfig, Store, TypedFunc,
};

use super::{BARE, Caller, Contestant, Request};

const MODULE: &str = "wapc";

/// A store, an instance, `wapc_init` and `__guest_call` for each call, on a tuned pool.
pub(crate) struct Fresh(InstancePre<Call>);

/// One instance for all calls of a thread, guard pages around its memory, as wasmtime does by itself.
pub(crate) struct Reused {
    name: &'static str,
    guest: InstancePre<Call>,
}

struct Call {
    operation: &'static str,
    payload: Bytes,
    response: Vec<u8>,
}

/// An instance that came up.
struct Running {
    store: Store<Call>,
    guest_call: TypedFunc<(u32, u32), i32>,
}

impl Fresh {
    pub(crate) fn new(wasm: &[u8]) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.linear_memory_keep_resident(2 << 20).table_keep_resident(64 << 10).pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).epoch_interruption(true);
        prepare(&config, wasm).map(Self).map_err(|error| anyhow!("{error:#}"))
    }
}

impl Reused {
    /// `interruptible` compiles the checks in by which a guest that runs too long can be ended.
    pub(crate) fn new(wasm: &[u8], name: &'static str, interruptible: bool) -> Result<Self> {
        let guest = prepare(Config::new().epoch_interruption(interruptible), wasm);
        Ok(Self { name, guest: guest.map_err(|error| anyhow!("{error:#}"))? })
    }
}

fn prepare(config: &Config, wasm: &[u8]) -> wasmtime::Result<InstancePre<Call>> {
    let engine = Engine::new(config)?;
    let module = Module::new(&engine, wasm)?;
    linker(&engine)?.instantiate_pre(&module)
}

impl Running {
    fn start(guest: &InstancePre<Call>) -> wasmtime::Result<Self> {
        let call = Call { operation: "", payload: Bytes::new(), response: Vec::new() };
        let mut store = Store::new(guest.module().engine(), call);
        store.set_epoch_deadline(1 << 40);
        let instance = guest.instantiate(&mut store)?;
        if let Ok(init) = instance.get_typed_func::<(), ()>(&mut store, "wapc_init") {
            init.call(&mut store, ())?;
        }
        let guest_call = instance.get_typed_func(&mut store, "__guest_call")?;
        Ok(Self { store, guest_call })
    }

    fn call(&mut self, request: &Request) -> wasmtime::Result<Vec<u8>> {
        let call = self.store.data_mut();
        (call.operation, call.payload) = (request.operation, request.payload.clone());
        let lengths = (request.operation.len() as u32, request.payload.len() as u32);
        match self.guest_call.call(&mut self.store, lengths)? {
            1 => Ok(std::mem::take(&mut self.store.data_mut().response)),
            _ => Err(wasmtime::format_err!("the guest failed")),
        }
    }
}

impl Contestant for Fresh {
    fn name(&self) -> &'static str {
        BARE
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self))
    }
}

impl Caller for &Fresh {
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes> {
        let mut answer = Vec::new();
        for _ in 0..times {
            let answered = Running::start(&self.0).and_then(|mut running| running.call(request));
            answer = answered.map_err(|error| anyhow!("{error:#}"))?;
        }
        Ok(answer.into())
    }
}

impl Contestant for Reused {
    fn name(&self) -> &'static str {
        self.name
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(Running::start(&self.guest).map_err(|error| anyhow!("{error:#}"))?))
    }
}

impl Caller for Running {
    fn call(&mut self, request: &Request, times: u32) -> Result<Bytes> {
        let mut answer = Vec::new();
        for _ in 0..times {
            answer = Self::call(self, request).map_err(|error| anyhow!("{error:#}"))?;
        }
        Ok(answer.into())
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(MODULE, "__guest_request", |mut guest: Guest<'_, Call>, operation: u32, payload: u32| {
        let memory = memory(&mut guest)?;
        let (memory, call) = memory.data_and_store_mut(&mut guest);
        write(memory, operation, call.operation.as_bytes())?;
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
