//! Fresh instances and their end: the only place that knows how sandboxes are allocated and reset.
//!
//! Today that is wasmtime's pooling allocator with copy-on-write images; a faster way needs to change nothing else.

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{
    Extern, ExternType, Instance, InstancePre, Module, ModuleExport, Store, TypedFunc, WasmParams, WasmResults,
};
use wattle_types::Deadline;

use crate::{
    EngineError, GuestError, Interrupt,
    state::{CallState, Phase},
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
}

impl Image {
    /// Makes the image of a linked module. A pre-initialized one has nothing to start.
    pub(crate) fn new(instance: InstancePre<CallState>, preinitialized: bool) -> Result<Self, EngineError> {
        let module = instance.module();
        let memory = find(
            module,
            MEMORY,
            "a memory of 32-bit addresses",
            |ty| matches!(ty, ExternType::Memory(memory) if !memory.is_64() && !memory.is_shared()),
        )?;
        let guest_call = find(module, GUEST_CALL, "a function (i32, i32) -> i32", is_guest_call)?;
        let starters = if preinitialized { Vec::new() } else { starters(module) };
        Ok(Self { memory, guest_call, starters, instance })
    }

    /// Makes a fresh instance. Its starters have not run yet, except for the module's own start section.
    ///
    /// The caller holds one of the [`Slots`], or runs on a compile thread, for each of which the pool has one more.
    pub(crate) async fn instantiate(&self, state: CallState) -> Result<Sandbox, GuestError> {
        let mut store = Store::new(self.instance.module().engine(), state);
        store.limiter(|state| state);
        store.epoch_deadline_callback(|context| context.data().tick());
        store.set_epoch_deadline(1);
        let instance = match self.instance.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(store.data().explain(&error)),
        };
        store.data_mut().memory = instance.get_module_export(&mut store, &self.memory).and_then(Extern::into_memory);
        Ok(Sandbox { store, instance })
    }

    /// Runs the starters of a fresh instance.
    pub(crate) async fn start(&self, sandbox: &mut Sandbox) -> Result<(), GuestError> {
        for starter in &self.starters {
            sandbox.start(starter).await?;
        }
        Ok(())
    }

    /// Lets a started instance serve the call its state holds.
    pub(crate) async fn serve(&self, sandbox: &mut Sandbox) -> Result<Bytes, GuestError> {
        let guest_call: TypedFunc<(u32, u32), i32> = sandbox.function(&self.guest_call)?;
        let state = sandbox.store.data_mut();
        state.phase = Phase::Serving;
        let sizes = (length(state.operation.as_bytes()), length(&state.payload));
        let result = guest_call.call_async(&mut sandbox.store, sizes).await;
        let state = sandbox.store.data_mut();
        state.finish_log();
        match result {
            Ok(code) => state.outcome(code),
            Err(error) => Err(state.explain(&error)),
        }
    }

    /// Returns whether anything has to run before the first request, the module's own start section aside.
    pub(crate) fn has_starters(&self) -> bool {
        !self.starters.is_empty()
    }
}

/// One instance, for one call. Dropping it resets everything the guest touched.
pub(crate) struct Sandbox {
    pub(crate) store: Store<CallState>,
    pub(crate) instance: Instance,
}

impl Sandbox {
    /// Runs one starter. Ending it by `proc_exit(0)` is its way to say that it is done.
    async fn start(&mut self, starter: &ModuleExport) -> Result<(), GuestError> {
        let starter: TypedFunc<(), ()> = self.function(starter)?;
        let Err(error) = starter.call_async(&mut self.store, ()).await else { return Ok(()) };
        match self.store.data().explain(&error) {
            GuestError::Exited { code: 0 } => Ok(()),
            error => Err(error),
        }
    }

    fn function<P: WasmParams, R: WasmResults>(
        &mut self,
        export: &ModuleExport,
    ) -> Result<TypedFunc<P, R>, GuestError> {
        let function = self.instance.get_module_export(&mut self.store, export).and_then(Extern::into_func);
        let function = function.and_then(|function| function.typed(&self.store).ok());
        function.ok_or_else(|| GuestError::Internal { message: "an export changed its type".into() })
    }
}

/// How many sandboxes may exist at once.
pub(crate) struct Slots {
    free: Semaphore,
    all: usize,
}

impl Slots {
    pub(crate) fn new(all: u32) -> Self {
        Self { free: Semaphore::new(all as usize), all: all as usize }
    }

    /// Waits for a free slot, but not past the call's deadline or an interrupt.
    pub(crate) async fn take(
        &self,
        deadline: Deadline,
        interrupt: &Interrupt,
    ) -> Result<SemaphorePermit<'_>, GuestError> {
        if let Ok(slot) = self.free.try_acquire() {
            return Ok(slot);
        }
        tokio::select! {
            biased;
            slot = self.free.acquire() => slot.map_err(|_| GuestError::Overloaded { limit: self.all }),
            () = interrupt.triggered() => Err(GuestError::Interrupted),
            () = tokio::time::sleep_until(deadline.instant().into()) => Err(GuestError::Overloaded { limit: self.all }),
        }
    }
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
