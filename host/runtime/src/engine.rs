//! The engine: what all actors of a host share.

use std::{
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, Linker, OptLevel, PoolingAllocationConfig};

use crate::{
    EngineConfig, EngineError, Limits, ModuleImage, PrepareStep, Prepared, abi, cache::CompileCache,
    compile::CompilePool, epoch::Ticker, long_calls::LongCalls, prepare, slots::Slots, state::CallState, warm::Warm,
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
    pub(crate) warm: Arc<Warm>,
    /// Of those who read how a fresh sandbox looks, from one the pool has besides.
    pub(crate) turn: Mutex<()>,
    /// Counts the generations made, to tell them apart.
    pub(crate) generations: AtomicU64,
    pub(crate) compile: CompilePool,
    pub(crate) long_calls: LongCalls,
    /// Turns of those who bring up what was compiled before.
    loading: Arc<Semaphore>,
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
        let warm = Arc::new(Warm::new(config.max_warm_sandboxes));
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
            long_calls: LongCalls::new(config.long_call_threads)?,
            loading: Arc::new(Semaphore::new(config.compile_threads.max(1))),
            cache,
            _ticker: Ticker::start(wasmtime.weak(), Arc::downgrade(&warm), config.epoch_tick)?,
            warm,
            turn: Mutex::default(),
            generations: AtomicU64::new(0),
            wasmtime,
            config,
        })))
    }

    /// Makes one generation of an actor from a module: compile (or find compiled), pre-initialize, probe.
    ///
    /// Compiles on threads of low priority; `report` is called there after each step. Must run within a tokio runtime
    /// with a clock. Dropping the future lets a compile that runs go on to its end, for the cache.
    ///
    /// # Errors
    /// Why the module cannot be run.
    pub async fn prepare(
        &self,
        image: ModuleImage<'_>,
        limits: Limits,
        report: impl FnMut(PrepareStep) + Clone + Send + 'static,
    ) -> Result<Prepared, EngineError> {
        if let Some(prepared) = self.load(image.hash, limits.clone(), report.clone()).await? {
            return Ok(prepared);
        }
        let (shared, hash, wasm) = (self.0.clone(), image.hash, image.wasm.to_vec());
        self.0.compile.run(move || prepare::prepare(shared, hash, &wasm, &Arc::new(limits), report)).await
    }

    /// Makes one generation of an actor from what its module was compiled to before. `None` if it is not in the cache.
    ///
    /// Works at normal priority: nobody's call waits for as little as that. The rest is as in [`Engine::prepare`].
    ///
    /// # Errors
    /// Why the module cannot be run.
    pub async fn load(
        &self,
        hash: [u8; 32],
        limits: Limits,
        mut report: impl FnMut(PrepareStep) + Send + 'static,
    ) -> Result<Option<Prepared>, EngineError> {
        let shared = self.0.clone();
        let Ok(turn) = shared.loading.clone().acquire_owned().await else { return Ok(None) };
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = prepare::load(&shared, hash, &Arc::new(limits), &mut report);
            drop(turn);
            loaded.transpose()
        });
        loading
            .await
            .map_err(|error| EngineError::Internal(format!("a compiled module could not be loaded: {error}")))?
    }

    /// Returns whether a module was compiled before, as far as is known without reading it.
    #[must_use]
    pub fn has_compiled(&self, hash: [u8; 32]) -> bool {
        self.0.cache.as_ref().is_some_and(|cache| cache.has(hash))
    }

    /// Returns the folder compiled modules are kept in.
    #[must_use]
    pub fn cache_dir(&self) -> Option<&Path> {
        self.0.config.cache_dir.as_deref()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// Makes room for the sandboxes of calls, for those that are being prepared or loaded, and one to look at.
fn wasmtime_config(config: &EngineConfig) -> Result<Config, EngineError> {
    let others = u32::try_from(config.compile_threads.max(1).saturating_mul(2).saturating_add(1)).ok();
    let sandboxes = others.and_then(|others| config.pool_size.checked_add(others));
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
        // Nobody reads backtraces of guests: what they would need makes files larger and loading slower.
        .generate_address_map(false)
        .native_unwind_info(false)
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
        .linear_memory_keep_resident(if has_swap() { 0 } else { config.keep_resident_bytes })
        // What a table kept of another instance would be pointers into it: the kernel clears tables.
        .table_keep_resident(0)
        .pagemap_scan(if has_swap() { Enabled::No } else { Enabled::Auto });
    pool
}

/// Returns whether pages may be swapped out. wasmtime's own scan passes over those, and so would not reset them.
fn has_swap() -> bool {
    let swaps = std::fs::read_to_string("/proc/swaps");
    // The first line is the heading of a table. Where it cannot be read there may be some.
    swaps.map_or(true, |swaps| swaps.lines().count() > 1)
}
