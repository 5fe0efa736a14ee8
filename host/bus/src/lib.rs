//! Publish, request and subscribe between hosts, and buckets they share: over NATS, or inside one process.
//!
//! Owns connections, subscriptions and watches; knows subjects only as text, and nothing of what the payloads mean.

mod bus;
mod jetstream;
mod kv;
mod listen;
mod memory;
mod nats;
pub mod nats_server;
#[cfg(feature = "test-util")]
pub mod sim;
mod subject;
pub mod watch;

pub use bus::{Bus, BusError, Message, Subscription};
pub use kv::{Expect, KvEntry, KvError, KvEvent, KvLast, KvStore, KvWatch};
pub use listen::listen;
pub use memory::MemoryBus;
pub use nats::{NatsAuth, NatsBus, NatsOptions, TlsIdentity};
pub use subject::is_inbox;
