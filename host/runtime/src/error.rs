//! Why a module cannot be run, and why one call of it failed.

use wasmtime::Trap;

/// Why a module, or the engine itself, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine cannot be built from this configuration on this machine.
    #[error("the engine cannot start: {0}")]
    Config(String),
    /// The bytes are not a valid WebAssembly module, or one that needs features the engine does not offer.
    #[error("the module is not valid WebAssembly, or needs features not offered here: {0}")]
    WasmMalformed(String),
    /// The bytes are a component.
    #[error("this is a WebAssembly component; Wattle runs core modules (waPC)")]
    Component,
    /// The module asks for something no actor is given.
    #[error("the module imports {module}.{name}, which is not offered to actors: {reason}")]
    ImportUnknown {
        /// First half of the import's name.
        module: String,
        /// Second half of the import's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The module lacks what a waPC guest must export.
    #[error("the module does not export {name} as {expected}")]
    ExportMissing {
        /// The export's name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The module starts with more memory than its limit.
    #[error("the module starts with {needed} bytes of memory, its limit is {limit}")]
    MemoryOverLimit {
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// The module starts with a larger table than its limit.
    #[error("the module starts with a table of {needed} elements, its limit is {limit}")]
    TableOverLimit {
        /// Elements needed.
        needed: u64,
        /// Elements allowed.
        limit: usize,
    },
    /// The module could not be compiled.
    #[error("the module cannot be compiled: {0}")]
    CompileFailed(String),
    /// The module's starters (`_start`, `_initialize`, `wapc_init`) failed.
    #[error("the module does not start: {0}")]
    StartFailed(#[source] GuestError),
    /// No instance could be made of the module: its data or its start section failed.
    #[error("no instance of the module comes up: {0}")]
    ProbeFailed(#[source] GuestError),
    /// The compile cache's folder cannot be used.
    #[error("the compile cache in {dir} cannot be used: {reason}")]
    Cache {
        /// The folder.
        dir: String,
        /// Why.
        reason: String,
    },
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl EngineError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "engine_config_invalid",
            Self::WasmMalformed(_) | Self::Component => "wasm_malformed",
            Self::ImportUnknown { .. } => "import_unknown",
            Self::ExportMissing { .. } => "export_missing",
            Self::MemoryOverLimit { .. } => "memory_over_limit",
            Self::TableOverLimit { .. } => "table_over_limit",
            Self::CompileFailed(_) => "compile_failed",
            Self::StartFailed(_) => "start_failed",
            Self::ProbeFailed(_) => "probe_failed",
            Self::Cache { .. } => "compile_cache_unusable",
            Self::Internal(_) => "internal",
        }
    }
}

/// Why one call of a guest failed. Its sandbox is gone; the next call gets a fresh one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The guest answered with an error of its own.
    #[error("{message}")]
    Failed {
        /// Its words.
        message: String,
    },
    /// The guest trapped or aborted.
    #[error("the guest trapped: {reason}")]
    Trapped {
        /// What happened.
        reason: String,
    },
    /// The guest handed the host a range outside its memory.
    #[error("the guest passed {len} bytes at {ptr:#x} to {function}, which lie outside its memory")]
    BadPointer {
        /// The import it called.
        function: &'static str,
        /// Start of the range.
        ptr: u32,
        /// Length of the range.
        len: u64,
    },
    /// The guest handed the host a text that is not UTF-8.
    #[error("the guest passed a text to {function} that is not UTF-8")]
    BadText {
        /// The import it called.
        function: &'static str,
    },
    /// The guest named what it calls with more bytes than any name has.
    #[error("the guest passed a name of {size} bytes to {function}, which exceeds the limit of {limit}")]
    NameTooLong {
        /// The import it called.
        function: &'static str,
        /// Bytes found.
        size: u32,
        /// Bytes allowed.
        limit: u32,
    },
    /// The guest trapped after it was refused more memory.
    #[error("the guest needed more memory than its limit of {limit} bytes")]
    MemoryExceeded {
        /// Bytes allowed.
        limit: usize,
    },
    /// The guest trapped after it was refused a larger table.
    #[error("the guest needed a larger table than its limit of {limit} elements")]
    TableExceeded {
        /// Elements allowed.
        limit: usize,
    },
    /// The guest, or a host call of it, was not done in time.
    #[error("the guest did not answer before the deadline")]
    DeadlineExceeded,
    /// Somebody ended all calls of this generation.
    #[error("the call was interrupted")]
    Interrupted,
    /// A payload is larger than allowed.
    #[error("a payload of {size} bytes exceeds the limit of {limit}")]
    PayloadTooLarge {
        /// Bytes found.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The guest made too many host calls.
    #[error("the guest made more than {limit} host calls in one call")]
    HostCallsExceeded {
        /// Host calls allowed.
        limit: u32,
    },
    /// The guest ended itself by WASI's `proc_exit`.
    #[error("the guest exited with code {code}")]
    Exited {
        /// Its exit code.
        code: u32,
    },
    /// All sandboxes were in use until the deadline.
    #[error("all {limit} sandboxes are in use")]
    Overloaded {
        /// Sandboxes there are.
        limit: usize,
    },
    /// A fault of ours.
    #[error("internal error: {message}")]
    Internal {
        /// For the log.
        message: String,
    },
}

impl GuestError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "guest_failed",
            Self::Trapped { .. } => "guest_trapped",
            Self::BadPointer { .. } => "guest_bad_pointer",
            Self::BadText { .. } => "guest_bad_text",
            Self::NameTooLong { .. } => "guest_name_too_long",
            Self::MemoryExceeded { .. } => "guest_memory_exceeded",
            Self::TableExceeded { .. } => "guest_table_exceeded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Interrupted => "interrupted",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::HostCallsExceeded { .. } => "guest_host_calls_exceeded",
            Self::Exited { .. } => "guest_exited",
            Self::Overloaded { .. } => "overloaded",
            Self::Internal { .. } => "internal",
        }
    }

    /// Reads what made wasmtime end a guest: an error of ours on its way out, or a trap of the guest's.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error) -> Self {
        if let Some(own) = error.downcast_ref::<Self>() {
            return own.clone();
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            let text = trap.to_string();
            return Self::Trapped { reason: text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned() };
        }
        Self::Internal { message: format!("{error:#}") }
    }
}
