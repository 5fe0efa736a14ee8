//! The key-value capability in memory.
//!
//! Data lives as long as the provider and its successors: deleting a link deletes nothing, and a live swap of this
//! provider by another of its kind keeps everything. What it may hold is bounded by `max_bytes` and `max_entries`.

mod budget;
mod kind;
mod shard;
mod space;

pub use kind::{Memory, MemoryFactory};
pub use space::MemoryStore;
