//! Publish, request and subscribe between hosts: over NATS, or inside one process.
//!
//! Owns connections and subscriptions; knows subjects only as text, and nothing of what the payloads mean.

mod bus;

pub use bus::{Bus, BusError, Message, Subscription};
