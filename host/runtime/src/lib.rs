//! Runs verified actor modules in fresh wasmtime sandboxes, one per call.
//!
//! Owns compiling, caching, pre-initializing and calling guests, and every limit a guest is held to. Is handed bytes
//! that somebody else verified; knows no claims, no links, no transport. Invariants: no state of one call reaches
//! another, and whatever a guest does ends as an [`EngineError`] or a [`GuestError`], never as a panic, a blocked
//! thread or unbounded memory.

mod abi;
mod baseline;
mod cache;
mod call;
mod compile;
mod config;
mod dirty_pages;
mod engine;
mod epoch;
mod error;
mod guest_log;
mod guest_memory;
mod habit;
mod interrupt;
mod long_calls;
mod preinit;
mod prepare;
mod priority;
mod sandbox;
mod sections;
mod slots;
mod state;
mod warm;

pub use call::{GuestCall, HostCall, HostCalls};
pub use config::{EngineConfig, Limits};
pub use dirty_pages::restores_sandboxes;
pub use engine::Engine;
pub use error::{EngineError, GuestError};
pub use interrupt::Interrupt;
pub use prepare::{ModuleImage, PrepareStep, Prepared};
