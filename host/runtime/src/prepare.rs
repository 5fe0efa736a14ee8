//! From a module's bytes to a generation that takes calls.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use wasmtime::{Module, Store};
use wattle_types::Deadline;

use crate::{
    EngineError, GuestCall, GuestError, HostCalls, Limits, abi, dirty_pages,
    engine::Shared,
    habit::Habit,
    long_calls::{Ran, Run},
    preinit::{self, Instrumented},
    sandbox::{Image, Sandbox, Served},
    sections,
    slots::Slot,
    state::{Call, CallState, ended},
};

/// A module whose claims somebody has verified.
#[derive(Debug, Clone, Copy)]
pub struct ModuleImage<'a> {
    /// SHA-256 of `wasm`, or of everything in it that decides how it behaves. Names it in the compile cache.
    pub hash: [u8; 32],
    /// The module.
    pub wasm: &'a [u8],
}

/// A step of [`Engine::prepare`](crate::Engine::prepare) that is done. `Display` says it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrepareStep {
    /// There is machine code.
    Compiled {
        /// Whether it was found in the compile cache.
        cached: bool,
        /// How long that took.
        elapsed: Duration,
    },
    /// The module's starters have run, once for all calls.
    PreInitialized {
        /// How long that took, compiling the result included.
        elapsed: Duration,
    },
    /// One instance came up.
    Probed {
        /// How long that took.
        elapsed: Duration,
    },
}

impl PrepareStep {
    /// Returns the step's stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Compiled { .. } => "compiled",
            Self::PreInitialized { .. } => "preinitialized",
            Self::Probed { .. } => "probed",
        }
    }
}

impl fmt::Display for PrepareStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiled { cached: true, elapsed } => write!(f, "from the cache in {}", Millis(*elapsed)),
            Self::Compiled { cached: false, elapsed } => write!(f, "in {}", Millis(*elapsed)),
            Self::PreInitialized { elapsed } => write!(f, "starters ran once, in {}", Millis(*elapsed)),
            Self::Probed { elapsed } => write!(f, "an instance came up in {}", Millis(*elapsed)),
        }
    }
}

struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}

/// One generation of an actor, ready for calls. Clones are the same generation.
#[derive(Clone)]
pub struct Prepared(Arc<Generation>);

struct Generation {
    id: u64,
    image: Image,
    limits: Arc<Limits>,
    habit: Arc<Habit>,
    shared: Arc<Shared>,
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.shared.warm.forget(self.id);
    }
}

impl Prepared {
    /// Lets a sandbox that is like new serve one call.
    ///
    /// Must run within a tokio runtime with a clock. Dropping the future ends the guest: at once, or if it has been
    /// computing for long at the next tick of the epoch that it meets.
    ///
    /// # Errors
    /// Why there is no answer. Whatever the guest did, other calls are not touched by it.
    pub async fn call(&self, call: GuestCall<'_>, host: Arc<dyn HostCalls>) -> Result<Bytes, GuestError> {
        let generation = &*self.0;
        let limit = generation.limits.payload_bytes;
        if call.payload.len() > limit {
            return Err(GuestError::PayloadTooLarge { size: call.payload.len(), limit });
        }
        let (deadline, interrupt) = (call.deadline, call.interrupt);
        let run = self.0.begin(call, host).await?;
        let end = ended(Some(interrupt), deadline);
        let (served, room) = match generation.shared.long_calls.run(run, generation.habit.is_long(), end).await? {
            Ran::Here(served, room) => (served?, Some(room)),
            Ran::Elsewhere(served) => (served?, None),
        };
        let Served { mut sandbox, response } = served;
        sandbox.leave(room);
        let now = sandbox.began();
        if generation.image.restore(&mut sandbox) {
            generation.shared.warm.put(generation.id, sandbox, &generation.shared.slots, now);
        }
        response
    }
}

impl Generation {
    /// Begins a call in a sandbox that waits for one, or in room for a new one.
    async fn begin(self: &Arc<Self>, call: GuestCall<'_>, host: Arc<dyn HostCalls>) -> Result<Run, GuestError> {
        let shared = &*self.shared;
        let (deadline, interrupt) = (call.deadline, call.interrupt);
        let call = Call::new(call, host);
        call.check(call.began)?;
        if let Some(sandbox) = shared.warm.take(self.id) {
            return Ok(sandbox.begin(call));
        }
        let slot = shared.slots.take(deadline, interrupt, || shared.warm.evict()).await?;
        call.check(Instant::now())?;
        Ok(Run::new(self.clone().serve_anew(call, slot)))
    }

    /// Makes a sandbox and lets it serve.
    async fn serve_anew(self: Arc<Self>, call: Call, slot: Slot) -> Result<Served, GuestError> {
        let state = CallState::new(call, self.limits.clone(), self.habit.clone());
        let mut sandbox = self.image.instantiate(state).await?;
        sandbox.keep(slot);
        self.image.remember(&mut sandbox, &self.shared.turn);
        self.image.start(&mut sandbox).await?;
        sandbox.serve().await
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Brings up a module that is in the cache, on the calling thread. `None` if it is not.
pub(crate) fn load(
    shared: &Arc<Shared>,
    hash: [u8; 32],
    limits: &Arc<Limits>,
    report: &mut impl FnMut(PrepareStep),
) -> Option<Result<Prepared, EngineError>> {
    let began = Instant::now();
    let kept = shared.cache.as_ref()?.load(&shared.wasmtime, hash)?;
    report(PrepareStep::Compiled { cached: true, elapsed: began.elapsed() });
    Some(bring_up_kept(shared, kept, hash, limits, report))
}

/// Compiles a module and brings it up, on the calling thread.
pub(crate) fn prepare(
    shared: Arc<Shared>,
    hash: [u8; 32],
    wasm: &[u8],
    limits: &Arc<Limits>,
    mut report: impl FnMut(PrepareStep),
) -> Result<Prepared, EngineError> {
    // Whoever had a turn before may have compiled the same.
    if let Some(loaded) = load(&shared, hash, limits, &mut report) {
        return loaded;
    }
    validate(&shared, wasm)?;
    // Asked before it is compiled: the compiler refuses what no sandbox could hold, but not by that name.
    check_table(sections::largest_table(wasm), limits)?;
    let (module, is_snapshot) = match preinit::instrument(wasm) {
        Some(instrumented) => compile_snapshot(&shared, wasm, &instrumented, limits, &mut report)?,
        None => (compile_plain(&shared, wasm, &mut report)?, false),
    };
    let kept = kept(&shared, module, hash, is_snapshot);
    bring_up_kept(&shared, kept, hash, limits, &mut report)
}

fn validate(shared: &Shared, wasm: &[u8]) -> Result<(), EngineError> {
    // Components have a header of their own: a version, and 1 where modules have 0.
    if let [0, b'a', b's', b'm', _, _, 1, 0, ..] = wasm {
        return Err(EngineError::Component);
    }
    Module::validate(&shared.wasmtime, wasm).map_err(|error| EngineError::WasmMalformed(format!("{error:#}")))
}

/// Keeps a module in the cache and returns it as it is there: mapped, its code is memory the kernel may take back.
fn kept(shared: &Shared, module: Module, hash: [u8; 32], is_snapshot: bool) -> (Module, bool) {
    let Some(cache) = &shared.cache else { return (module, is_snapshot) };
    cache.store(&module, hash, is_snapshot);
    cache.load(&shared.wasmtime, hash).unwrap_or((module, is_snapshot))
}

/// Brings up a module that is in the cache, where it only stays if it comes up: a start section that computes without
/// end is tried on the threads that compile, where it hurts nobody, and not where modules are loaded.
fn bring_up_kept(
    shared: &Arc<Shared>,
    (module, is_snapshot): (Module, bool),
    hash: [u8; 32],
    limits: &Arc<Limits>,
    report: &mut impl FnMut(PrepareStep),
) -> Result<Prepared, EngineError> {
    let brought = bring_up(shared, &module, is_snapshot, limits, report);
    if let (Err(_), Some(cache)) = (&brought, &shared.cache) {
        cache.forget(hash);
    }
    brought
}

/// Joins a module with its imports and lets one instance come up.
fn bring_up(
    shared: &Arc<Shared>,
    module: &Module,
    is_snapshot: bool,
    limits: &Arc<Limits>,
    report: &mut impl FnMut(PrepareStep),
) -> Result<Prepared, EngineError> {
    let image = link(shared, module, is_snapshot, limits)?;
    let began = Instant::now();
    start(shared, &image, limits)?;
    report(PrepareStep::Probed { elapsed: began.elapsed() });
    give_back_image(module);
    let id = shared.generations.fetch_add(1, Ordering::Relaxed);
    let (limits, habit, shared) = (limits.clone(), Arc::default(), shared.clone());
    Ok(Prepared(Arc::new(Generation { id, image, limits, habit, shared })))
}

/// Lets the kernel have back what loading and probing touched of a module's file: most actors wait long for a call, and
/// a call needs little of it. Returns `false` if it has no file.
fn give_back_image(module: &Module) -> bool {
    let image = module.image_range();
    // SAFETY: the range is readable memory that lives as long as the module, and nobody writes to it.
    #[expect(unsafe_code, reason = "the image is told as a range of pointers")]
    let image = unsafe { std::slice::from_raw_parts(image.start, image.end.addr() - image.start.addr()) };
    dirty_pages::give_back_file(image)
}

fn compile_plain(shared: &Shared, wasm: &[u8], report: &mut impl FnMut(PrepareStep)) -> Result<Module, EngineError> {
    let began = Instant::now();
    let module = compile(shared, wasm)?;
    report(PrepareStep::Compiled { cached: false, elapsed: began.elapsed() });
    Ok(module)
}

/// Compiles a module, runs its starters, and compiles the module again as they left it, exporting all its state.
/// One that has none is a snapshot of itself.
fn compile_snapshot(
    shared: &Shared,
    wasm: &[u8],
    instrumented: &Instrumented<'_>,
    limits: &Arc<Limits>,
    report: &mut impl FnMut(PrepareStep),
) -> Result<(Module, bool), EngineError> {
    let began = Instant::now();
    let first = compile(shared, instrumented.wasm())?;
    report(PrepareStep::Compiled { cached: false, elapsed: began.elapsed() });
    let began = Instant::now();
    let image = link(shared, &first, false, limits)?;
    if !image.has_starters() && !instrumented.has_start_section() {
        return Ok((first, true));
    }
    let mut sandbox = start(shared, &image, limits)?;
    let snapshot = instrumented.snapshot(&mut sandbox);
    drop(sandbox);
    let instrumented = snapshot.and_then(|snapshot| {
        let again = preinit::instrument(&snapshot).map(|instrumented| instrumented.wasm().to_vec());
        again.ok_or_else(|| "its snapshot cannot be instrumented".to_owned())
    });
    match instrumented {
        Ok(snapshot) => {
            let module = compile(shared, &snapshot)?;
            report(PrepareStep::PreInitialized { elapsed: began.elapsed() });
            Ok((module, true))
        }
        Err(reason) => {
            tracing::debug!(%reason, "the starters of this module run for each call");
            Ok((compile(shared, wasm)?, false))
        }
    }
}

fn compile(shared: &Shared, wasm: &[u8]) -> Result<Module, EngineError> {
    Module::new(&shared.wasmtime, wasm).map_err(|error| EngineError::CompileFailed(format!("{error:#}")))
}

/// Joins a module with its imports and checks what it needs.
fn link(shared: &Shared, module: &Module, is_snapshot: bool, limits: &Arc<Limits>) -> Result<Image, EngineError> {
    check_needs(module, limits)?;
    let mut linker = shared.linker.clone();
    let mut store = Store::new(&shared.wasmtime, idle(shared, limits));
    abi::link(&mut linker, module, &mut store)?;
    let instance =
        linker.instantiate_pre(module).map_err(|error| EngineError::Internal(format!("linking failed: {error:#}")))?;
    Image::new(instance, is_snapshot)
}

fn check_needs(module: &Module, limits: &Limits) -> Result<(), EngineError> {
    const PAGE_BYTES: u64 = 64 << 10;
    let needs = module.resources_required();
    let memory = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES);
    if memory > limits.memory_bytes as u64 {
        return Err(EngineError::MemoryOverLimit { needed: memory, limit: limits.memory_bytes });
    }
    check_table(needs.max_initial_table_size.unwrap_or(0), limits)
}

fn check_table(needed: u64, limits: &Limits) -> Result<(), EngineError> {
    let limit = limits.table_elements;
    if needed > limit as u64 { Err(EngineError::TableOverLimit { needed, limit }) } else { Ok(()) }
}

/// Lets one instance come up and run its starters.
fn start(shared: &Shared, image: &Image, limits: &Arc<Limits>) -> Result<Sandbox, EngineError> {
    let mut sandbox = block_on(image.instantiate(idle(shared, limits))).map_err(EngineError::ProbeFailed)?;
    block_on(image.start(&mut sandbox)).map_err(EngineError::StartFailed)?;
    Ok(sandbox)
}

/// The state of an instance that gets no request.
fn idle(shared: &Shared, limits: &Arc<Limits>) -> CallState {
    let now = Instant::now();
    let call = Call::none(now, Deadline::after(now, shared.config.start_timeout));
    CallState::new(call, limits.clone(), Arc::default())
}

/// Polls until done. Starters wait for nothing, as no host call is served to them: they only let others run at each
/// tick of the epoch, which on a thread of the lowest priority the kernel does better.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}

#[cfg(test)]
mod tests;
