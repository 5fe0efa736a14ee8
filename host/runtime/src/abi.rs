//! The imports guests are given: adapters beside each other, picked by what a module declares.

mod assemblyscript;
mod wapc;
mod wasi;

use wasmtime::{Engine, Extern, ExternType, FuncType, ImportType, Linker, Module, Store};

use crate::{EngineError, state::CallState};

/// Returns a linker with every import of a fixed type.
pub(crate) fn base_linker(engine: &Engine) -> Result<Linker<CallState>, EngineError> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    let defined = wapc::define(&mut linker)
        .and_then(|()| wasi::define(&mut linker))
        .and_then(|()| assemblyscript::define(&mut linker));
    defined.map_err(|error| EngineError::Internal(format!("the imports clash: {error:#}")))?;
    Ok(linker)
}

/// Adds the imports whose shape `module` chooses, and refuses those nobody offers.
///
/// `store` is only looked through: nothing is instantiated in it.
pub(crate) fn link(
    linker: &mut Linker<CallState>,
    module: &Module,
    store: &mut Store<CallState>,
) -> Result<(), EngineError> {
    for import in module.imports() {
        let ExternType::Func(asked) = import.ty() else {
            return Err(unknown(&import, "actors bring their own memories, tables and globals"));
        };
        let Some(offered) = linker.get_by_import(&mut *store, &import).and_then(Extern::into_func) else {
            link_by_type(linker, &import, asked)?;
            continue;
        };
        let offered = offered.ty(&mut *store);
        if !FuncType::eq(&asked, &offered) {
            return Err(unknown(&import, &format!("it is offered as {offered}, not as {asked}")));
        }
    }
    Ok(())
}

fn link_by_type(linker: &mut Linker<CallState>, import: &ImportType<'_>, ty: FuncType) -> Result<(), EngineError> {
    let (module, name) = (import.module(), import.name());
    let offered = match module {
        wapc::MODULE | wapc::WASMBUS_MODULE if name == wapc::HOST_CALL => wapc::define_host_call(linker, module, &ty),
        wasi::MODULE | wasi::UNSTABLE_MODULE => wasi::define_denied(linker, module, name, ty),
        _ => Ok(false),
    };
    match offered {
        Ok(true) => Ok(()),
        Ok(false) => Err(unknown(import, "nothing of this name and type exists")),
        Err(error) => Err(EngineError::Internal(format!("{module}.{name} cannot be defined: {error:#}"))),
    }
}

fn unknown(import: &ImportType<'_>, reason: &str) -> EngineError {
    EngineError::ImportUnknown {
        module: import.module().to_owned(),
        name: import.name().to_owned(),
        reason: reason.to_owned(),
    }
}
