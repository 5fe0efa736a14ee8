//! Publish, request and subscribe between hosts: over NATS, or inside one process.
//!
//! Owns connections and subscriptions; knows subjects only as text, and nothing of what the payloads mean.

mod bus;
mod memory;
mod nats;
pub mod nats_server;
mod subject;

pub use bus::{Bus, BusError, Message, Subscription};
pub use memory::MemoryBus;
pub use nats::{NatsAuth, NatsBus, NatsOptions};
