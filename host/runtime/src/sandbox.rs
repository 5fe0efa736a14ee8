//! Sandboxes of one module: how they are made, what runs in them, and how they become as new.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use wasmtime::{
    Extern, ExternType, Instance, InstancePre, Memory, Module, ModuleExport, Store, TypedFunc, WasmParams, WasmResults,
};

use crate::{
    EngineError, GuestError,
    baseline::{Baseline, Restorer},
    dirty_pages,
    long_calls::Run,
    preinit,
    prepare::block_on,
    slots::Slot,
    state::{Call, CallState, Phase},
};

const MEMORY: &str = "memory";
const GUEST_CALL: &str = "__guest_call";
/// Exports that are called before the first request, in this order, where they exist.
const STARTERS: [&str; 3] = ["_start", "_initialize", "wapc_init"];

/// What all sandboxes of one module are copied from.
pub(crate) struct Image {
    instance: InstancePre<CallState>,
    memory: ModuleExport,
    guest_call: ModuleExport,
    starters: Vec<ModuleExport>,
    /// Every global a guest can change, if all its state can be seen; otherwise no sandbox serves twice.
    globals: Option<Vec<ModuleExport>>,
    worth: Worth,
    /// How a fresh sandbox looks, as long as one is kept for another call.
    baseline: Mutex<Weak<Baseline>>,
}

impl Image {
    /// Makes the image of a linked module. Of a snapshot all state can be seen, and it has nothing to start.
    pub(crate) fn new(instance: InstancePre<CallState>, is_snapshot: bool) -> Result<Self, EngineError> {
        let module = instance.module();
        let memory = find(
            module,
            MEMORY,
            "a memory of 32-bit addresses",
            |ty| matches!(ty, ExternType::Memory(memory) if !memory.is_64() && !memory.is_shared()),
        )?;
        let guest_call = find(module, GUEST_CALL, "a function (i32, i32) -> i32", is_guest_call)?;
        let starters = if is_snapshot { Vec::new() } else { starters(module) };
        let globals = is_snapshot.then(|| preinit::state_globals(module));
        Ok(Self {
            memory,
            guest_call,
            starters,
            globals,
            worth: Worth::default(),
            baseline: Mutex::default(),
            instance,
        })
    }

    /// Makes a fresh instance. Its starters have not run yet, except for the module's own start section.
    ///
    /// The caller holds one of the [`Slots`](crate::slots::Slots), or runs on a compile thread, for each of which the
    /// pool has one more.
    pub(crate) async fn instantiate(&self, state: CallState) -> Result<Sandbox, GuestError> {
        let mut store = Store::new(self.instance.module().engine(), state);
        store.limiter(|state| state);
        store.epoch_deadline_callback(|mut context| context.data_mut().tick());
        store.set_epoch_deadline(1);
        let instance = match self.instance.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(store.data().explain(&error)),
        };
        let memory = instance.get_module_export(&mut store, &self.memory).and_then(Extern::into_memory);
        let memory = memory.ok_or_else(changed)?;
        let guest_call = typed(&mut store, instance, &self.guest_call)?;
        store.data_mut().memory = Some(memory);
        Ok(Sandbox {
            store,
            instance,
            memory,
            guest_call,
            restorer: None,
            room: None,
            slot: None,
            is_whole: true,
            is_as_new: false,
            stayed: false,
        })
    }

    /// Runs the starters of a fresh instance.
    pub(crate) async fn start(&self, sandbox: &mut Sandbox) -> Result<(), GuestError> {
        for starter in &self.starters {
            sandbox.start(starter).await?;
        }
        Ok(())
    }

    /// Makes it possible that a fresh instance serves again, where all that a guest can change can be seen.
    ///
    /// Whoever holds `turn` has room for one more instance.
    pub(crate) fn remember(&self, sandbox: &mut Sandbox, turn: &Mutex<()>) {
        let Some(exports) = &self.globals else { return };
        if !self.worth.is_trying() {
            return;
        }
        let baseline = self.baseline(sandbox.store.data(), exports, turn);
        sandbox.restorer = baseline.and_then(|baseline| Restorer::new(sandbox, exports, baseline));
    }

    /// Finds how a fresh sandbox looks, or reads it from one that is made for that only.
    fn baseline(&self, state: &CallState, exports: &[ModuleExport], turn: &Mutex<()>) -> Option<Arc<Baseline>> {
        // Whoever finds one of the two locked goes without, this time.
        let mut known = self.baseline.try_lock().ok()?;
        if let Some(baseline) = known.upgrade() {
            return Some(baseline);
        }
        let _turn = turn.try_lock().ok()?;
        let look = || {
            let call = Call::none(state.call.began, state.call.deadline);
            let state = CallState::new(call, state.limits.clone(), Arc::default());
            Baseline::of(&mut block_on(self.instantiate(state)).ok()?, exports)
        };
        // Looked at twice: what only one of the two has would be something left behind, to be restored ever after.
        let baseline = look().filter(|baseline| look().is_some_and(|again| again.is_like(baseline)))?;
        let baseline = Arc::new(baseline);
        *known = Arc::downgrade(&baseline);
        Some(baseline)
    }

    /// Makes a sandbox as it was before its call. Returns `false` if it must be dropped instead.
    pub(crate) fn restore(&self, sandbox: &mut Sandbox) -> bool {
        sandbox.store.data_mut().forget();
        let Some(restorer) = sandbox.restorer.as_mut().filter(|_| sandbox.is_whole) else { return false };
        let restored = restorer.restore(&mut sandbox.store, sandbox.memory, sandbox.stayed);
        sandbox.is_as_new = restored;
        self.worth.learn(restored);
        restored
    }

    #[cfg(test)]
    pub(crate) fn module(&self) -> &Module {
        self.instance.module()
    }

    /// Returns whether anything has to run before the first request, the module's own start section aside.
    pub(crate) fn has_starters(&self) -> bool {
        !self.starters.is_empty()
    }
}

/// Whether it is worth to let the sandboxes of a module serve again: not those that are called once, nor those that
/// grow their memory in each call.
struct Worth {
    /// How many fresh sandboxes are left alone until one is tried again.
    skip: AtomicU32,
    /// How many in a row could not be restored.
    misses: AtomicU32,
}

impl Default for Worth {
    fn default() -> Self {
        Self { skip: AtomicU32::new(1), misses: AtomicU32::new(0) }
    }
}

impl Worth {
    /// Most misses that make the next attempt rarer: one in 1024 costs next to nothing.
    const MOST_MISSES: u32 = 10;

    fn is_trying(&self) -> bool {
        self.skip.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |skip| skip.checked_sub(1)).is_err()
    }

    fn learn(&self, restored: bool) {
        let misses = self.misses.load(Ordering::Relaxed);
        if restored {
            // Written only when it changes: all threads read it in each call.
            if misses > 0 {
                self.misses.store(0, Ordering::Relaxed);
            }
            return;
        }
        let misses = (misses + 1).min(Self::MOST_MISSES);
        self.misses.store(misses, Ordering::Relaxed);
        self.skip.store(1 << misses, Ordering::Relaxed);
    }
}

/// One instance, for one call at a time. Dropping it resets everything the guest touched.
pub(crate) struct Sandbox {
    pub(crate) store: Store<CallState>,
    pub(crate) instance: Instance,
    pub(crate) memory: Memory,
    guest_call: TypedFunc<(u32, u32), i32>,
    /// Without it, the sandbox serves no second call.
    restorer: Option<Restorer>,
    /// Where its last call was run: its next one needs as much room.
    room: Option<Run>,
    /// Given back last, when the pool has room again.
    slot: Option<Slot>,
    /// Whether no code was left in the middle of what it did.
    is_whole: bool,
    /// Whether it was restored and has served nobody since: then little of its memory was ever written.
    is_as_new: bool,
    /// Whether the call ran from its beginning to its end on one thread, without waiting for anything.
    stayed: bool,
}

/// A call that came to its end.
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    pub(crate) response: Result<Bytes, GuestError>,
}

impl Sandbox {
    /// Lets a started instance serve the call its state holds.
    ///
    /// # Errors
    /// None: they are part of the response.
    pub(crate) async fn serve(mut self) -> Result<Served, GuestError> {
        let response = self.respond().await;
        Ok(Served { sandbox: self, response })
    }

    async fn respond(&mut self) -> Result<Bytes, GuestError> {
        let state = self.store.data_mut();
        state.call.phase = Phase::Serving;
        let sizes = (length(state.call.operation.as_bytes()), length(&state.call.payload));
        self.store.set_epoch_deadline(1);
        let (result, polls) = counting_polls(self.guest_call.call_async(&mut self.store, sizes)).await;
        self.stayed = polls == 1;
        let state = self.store.data_mut();
        state.finish_log();
        match result {
            Ok(code) => state.outcome(code),
            Err(error) => {
                self.is_whole = false;
                Err(self.store.data().explain(&error))
            }
        }
    }

    /// Lets the sandbox have its slot for as long as it lives.
    pub(crate) fn keep(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Returns when its call began.
    pub(crate) fn began(&self) -> Instant {
        self.store.data().call.began
    }

    /// Hands the sandbox its next call.
    pub(crate) fn begin(mut self, call: Call) -> Run {
        self.store.data_mut().call = call;
        self.is_as_new = false;
        if let Some(restorer) = &mut self.restorer {
            restorer.begin();
        }
        match self.room.take() {
            Some(mut room) => {
                room.set(self.serve());
                room
            }
            None => Run::new(self.serve()),
        }
    }

    /// Keeps the room its call was run in; without one, it ran on a thread that is not the caller's.
    pub(crate) fn leave(&mut self, room: Option<Run>) {
        // Page faults were not counted where the caller looks.
        self.stayed &= room.is_some();
        self.room = room;
    }

    /// Gives all its memory back to the kernel. It can only be dropped then.
    pub(crate) fn give_back(&mut self) {
        let _stays = dirty_pages::give_back(self.memory.data_mut(&mut self.store));
    }

    /// Runs one starter. Ending it by `proc_exit(0)` is its way to say that it is done.
    async fn start(&mut self, starter: &ModuleExport) -> Result<(), GuestError> {
        let starter: TypedFunc<(), ()> = typed(&mut self.store, self.instance, starter)?;
        let Err(error) = starter.call_async(&mut self.store, ()).await else { return Ok(()) };
        match self.store.data().explain(&error) {
            GuestError::Exited { code: 0 } => Ok(()),
            error => Err(error),
        }
    }
}

impl Drop for Sandbox {
    /// Of a sandbox that is dropped the pool keeps some MiB in memory, for the next one in its place. After a crowd of
    /// them, which may not come again, that is too much.
    fn drop(&mut self) {
        if !self.is_as_new && self.slot.as_ref().is_some_and(Slot::is_one_of_many) {
            self.give_back();
        }
    }
}

/// Returns a future's output, and in how many turns it came to it.
async fn counting_polls<T>(future: impl Future<Output = T>) -> (T, u32) {
    let mut future = pin!(future);
    let mut polls = 0_u32;
    let output = poll_fn(|context| {
        polls = polls.saturating_add(1);
        future.as_mut().poll(context)
    });
    (output.await, polls)
}

fn typed<P: WasmParams, R: WasmResults>(
    store: &mut Store<CallState>,
    instance: Instance,
    export: &ModuleExport,
) -> Result<TypedFunc<P, R>, GuestError> {
    let function = instance.get_module_export(&mut *store, export).and_then(Extern::into_func);
    function.and_then(|function| function.typed(store).ok()).ok_or_else(changed)
}

fn changed() -> GuestError {
    GuestError::Internal { message: "an export changed its type".into() }
}

fn find(
    module: &Module,
    name: &'static str,
    expected: &'static str,
    fits: impl Fn(&ExternType) -> bool,
) -> Result<ModuleExport, EngineError> {
    let missing = EngineError::ExportMissing { name, expected };
    if !module.get_export(name).is_some_and(|ty| fits(&ty)) {
        return Err(missing);
    }
    module.get_export_index(name).ok_or(missing)
}

fn is_guest_call(ty: &ExternType) -> bool {
    let ExternType::Func(ty) = ty else { return false };
    ty.params().len() == 2 && ty.results().len() == 1 && ty.params().chain(ty.results()).all(|ty| ty.is_i32())
}

/// Returns the starters a module has. Something else under such a name, or with parameters, is no starter.
fn starters(module: &Module) -> Vec<ModuleExport> {
    let is_starter =
        |ty: &ExternType| matches!(ty, ExternType::Func(ty) if ty.params().len() + ty.results().len() == 0);
    let named = STARTERS.iter().filter(|name| module.get_export(name).is_some_and(|ty| is_starter(&ty)));
    named.filter_map(|name| module.get_export_index(name)).collect()
}

fn length(bytes: &[u8]) -> u32 {
    // Payloads are checked against `Limits::payload_bytes`; what does not fit 32 bits would fit no guest either.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
