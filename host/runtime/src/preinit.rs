//! Pre-initialization: starters run once, and every call starts from the memory and globals they left.
//!
//! The idea, and the rewriting, are Wizer's. Not every module can be rewritten (one that changes its tables cannot),
//! and not every state is worth keeping (one that saw a clock or random numbers must not be shared).

use wasmtime::{ExternType, Module, ModuleExport, Val};
use wasmtime_wizer::{InstanceState, ModuleContext, SnapshotVal, ValType, Wizer};

use crate::{prepare::block_on, sandbox::Sandbox, sections};

/// Wizer's prefix for exports of its own, which it cannot add beside others of the same names.
const RESERVED: &[u8] = b"__wizer_";
/// Bytes a snapshot may add to its module. A guest that fills its memory at start is better off doing so for each call
/// than with an image of all that on disk.
const MAX_ADDED_BYTES: usize = 16 << 20;

/// A module that exports all its state, to be read after its starters have run.
pub(crate) struct Instrumented<'a> {
    context: ModuleContext<'a>,
    wasm: Vec<u8>,
    original_bytes: usize,
    has_start_section: bool,
}

/// Adds exports for its state to a valid module. `None` if its state cannot be taken.
pub(crate) fn instrument(wasm: &[u8]) -> Option<Instrumented<'_>> {
    if wasm.windows(RESERVED.len()).any(|window| window == RESERVED) {
        tracing::debug!("not pre-initialized: the module has Wizer's names in it");
        return None;
    }
    match Wizer::new().instrument(wasm) {
        Ok((context, instrumented)) => {
            let has_start_section = sections::has_start(wasm);
            Some(Instrumented { context, wasm: instrumented, original_bytes: wasm.len(), has_start_section })
        }
        Err(reason) => {
            tracing::debug!("not pre-initialized: {reason:#}");
            None
        }
    }
}

impl Instrumented<'_> {
    /// Returns the module to run.
    pub(crate) fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// Returns whether instantiating the module runs code of it.
    pub(crate) const fn has_start_section(&self) -> bool {
        self.has_start_section
    }

    /// Returns the module as its starters left it, or why their state must not be kept.
    pub(crate) fn snapshot(&self, sandbox: &mut Sandbox) -> Result<Vec<u8>, String> {
        if sandbox.store.data().saw_chance {
            return Err("its starters saw a clock or random numbers".into());
        }
        let mut reader = StateReader { sandbox, missed: false };
        let snapshot = block_on(Wizer::new().snapshot(&self.context, &mut reader));
        let missed = reader.missed;
        match snapshot {
            Ok(_) if missed => Err("a part of its state is of a kind that cannot be read".into()),
            Ok(snapshot) if snapshot.len() > self.original_bytes + MAX_ADDED_BYTES => {
                Err(format!("its state needs {} bytes", snapshot.len()))
            }
            Ok(snapshot) => Ok(snapshot),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

/// Finds the globals a guest can change. The module is an [`Instrumented`] one: it exports them all.
pub(crate) fn state_globals(module: &Module) -> Vec<ModuleExport> {
    let exports = module.exports().filter(|export| export.name().as_bytes().starts_with(RESERVED));
    let globals = exports.filter(|export| matches!(export.ty(), ExternType::Global(_)));
    globals.filter_map(|export| module.get_export_index(export.name())).collect()
}

struct StateReader<'a> {
    sandbox: &'a mut Sandbox,
    /// Set when something was not there; Wizer's interface leaves no room for errors.
    missed: bool,
}

impl InstanceState for StateReader<'_> {
    async fn global_get(&mut self, name: &str, _type: ValType) -> SnapshotVal {
        let Sandbox { store, instance, .. } = &mut *self.sandbox;
        let value = instance.get_global(&mut *store, name).map(|global| global.get(&mut *store));
        match value {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            _ => {
                self.missed = true;
                SnapshotVal::I32(0)
            }
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let Sandbox { store, instance, .. } = &mut *self.sandbox;
        match instance.get_memory(&mut *store, name) {
            Some(memory) => contents(memory.data(&*store)),
            None => {
                self.missed = true;
                contents(&[]);
            }
        }
    }
}
