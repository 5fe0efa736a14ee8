//! Every bus keeps the same promises: `conformance` states them once, over all implementations.

mod conformance;
mod memory;
mod nats;
mod server;
