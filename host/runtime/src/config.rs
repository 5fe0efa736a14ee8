//! What an engine is built with, and what its guests are held to.

use std::{path::PathBuf, time::Duration};

/// How one [`Engine`](crate::Engine) works. The defaults suit a host with some gigabytes of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Most sandboxes alive at once, over all actors. A call waits for a free one until its deadline.
    pub pool_size: u32,
    /// Sandboxes kept for their next call while none runs, over all actors; those unused for ten seconds go. Each keeps
    /// some tens of KiB, at most about 300.
    pub max_warm_sandboxes: u32,
    /// Bytes of memory that are reset in place, instead of being given back to the kernel, when a sandbox is dropped.
    /// While more than 16 are in use, those that served a call give all back.
    pub keep_resident_bytes: usize,
    /// Bytes of stack a guest may use. Deeper recursion traps.
    pub guest_stack_bytes: usize,
    /// How often running guests are looked at: the longest a guest holds a thread, and how far deadlines overshoot.
    pub epoch_tick: Duration,
    /// Threads of lower priority for calls that compute for longer than two ticks. Without any, such calls stay on the
    /// threads of their callers' runtime.
    pub long_call_threads: usize,
    /// Threads that compile, at the lowest priority.
    pub compile_threads: usize,
    /// Where compiled modules are kept over restarts; nowhere if `None`. Created, private to this user, if missing.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of compiled modules kept there; the longest unused go first.
    pub cache_max_bytes: u64,
    /// Longest the starters of a module may take while it is prepared.
    pub start_timeout: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            pool_size: 1000,
            max_warm_sandboxes: 128,
            keep_resident_bytes: 2 << 20,
            guest_stack_bytes: 512 << 10,
            epoch_tick: Duration::from_millis(2),
            long_call_threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            compile_threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
            cache_dir: None,
            cache_max_bytes: 1 << 30,
            start_timeout: Duration::from_secs(10),
        }
    }
}

/// What every call of one actor is held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory. Growing past it fails inside the guest.
    pub memory_bytes: usize,
    /// Elements of the guest's table. Growing past it fails inside the guest.
    pub table_elements: usize,
    /// Bytes of a payload, in each direction: request, response, and either side of a host call.
    pub payload_bytes: usize,
    /// Host calls in one call.
    pub host_calls: u32,
    /// Lines logged in one call; more are dropped.
    pub log_lines: u32,
    /// Bytes of one log line; the rest is cut off.
    pub log_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            payload_bytes: 16 << 20,
            host_calls: 10_000,
            log_lines: 200,
            log_line_bytes: 4 << 10,
        }
    }
}
