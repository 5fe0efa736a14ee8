//! The engine: what all actors of a host share.

use std::sync::Arc;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, Linker, OptLevel, PoolingAllocationConfig};

use crate::{
    EngineConfig, EngineError, Limits, ModuleImage, PrepareStep, Prepared, abi, cache::CompileCache,
    compile::CompilePool, epoch::Ticker, prepare, sandbox::Slots, state::CallState,
};

/// Largest table any guest may have, in elements. `Limits::table_elements` only lowers it.
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Stack for the host's functions, on top of the guest's own.
const HOST_STACK_BYTES: usize = 512 << 10;

/// Compiles modules and runs their calls. Clones are the same engine; its threads end with the last of them.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<CallState>,
    pub(crate) slots: Slots,
    pub(crate) compile: CompilePool,
    pub(crate) cache: Option<CompileCache>,
    pub(crate) config: EngineConfig,
    _ticker: Ticker,
}

impl Engine {
    /// Builds an engine, reserves address space for its sandboxes, and starts its threads.
    ///
    /// # Errors
    /// [`EngineError::Config`] if this machine cannot do what `config` asks; [`EngineError::Cache`] if the cache's
    /// folder can neither be found nor made.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let wasmtime = wasmtime::Engine::new(&wasmtime_config(&config)?)
            .map_err(|error| EngineError::Config(format!("{error:#}")))?;
        let cache = match &config.cache_dir {
            Some(dir) => Some(CompileCache::open(dir, config.cache_max_bytes, &wasmtime)?),
            None => None,
        };
        Ok(Self(Arc::new(Shared {
            linker: abi::base_linker(&wasmtime)?,
            slots: Slots::new(config.pool_size),
            compile: CompilePool::new(config.compile_threads)?,
            cache,
            _ticker: Ticker::start(wasmtime.weak(), config.epoch_tick)?,
            wasmtime,
            config,
        })))
    }

    /// Makes one generation of an actor from a module: compile (or find compiled), pre-initialize, probe.
    ///
    /// Works on threads of low priority; `report` is called there after each step. Must run within a tokio runtime with
    /// a clock. Dropping the future lets a compile that runs go on to its end, for the cache.
    ///
    /// # Errors
    /// Why the module cannot be run.
    pub async fn prepare(
        &self,
        image: ModuleImage<'_>,
        limits: Limits,
        report: impl FnMut(PrepareStep) + Send + 'static,
    ) -> Result<Prepared, EngineError> {
        let (shared, hash, wasm) = (self.0.clone(), image.hash, image.wasm.to_vec());
        self.0.compile.run(move || prepare::prepare(shared, hash, &wasm, limits, report)).await
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

fn wasmtime_config(config: &EngineConfig) -> Result<Config, EngineError> {
    let threads = u32::try_from(config.compile_threads.max(1)).ok();
    let sandboxes = threads.and_then(|threads| config.pool_size.checked_add(threads));
    let sandboxes = sandboxes.ok_or_else(|| EngineError::Config("too many sandboxes".into()))?;
    let mut wasmtime = Config::new();
    wasmtime
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, sandboxes)))
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(config.guest_stack_bytes)
        .async_stack_size(config.guest_stack_bytes.saturating_add(HOST_STACK_BYTES))
        .memory_init_cow(true)
        // Traps are told by their kind; collecting frames of a guest would cost a hostile one nothing and us much.
        .wasm_backtrace_max_frames(None)
        // Only components use it, and each store would pay for it.
        .concurrency_support(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false);
    Ok(wasmtime)
}

fn pool(config: &EngineConfig, sandboxes: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(sandboxes)
        .total_memories(sandboxes)
        .total_tables(sandboxes)
        .total_stacks(sandboxes)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(config.max_warm_sandboxes)
        .linear_memory_keep_resident(config.keep_resident_bytes)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}
