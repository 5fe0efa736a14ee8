//! The key-value capability on Redis.
//!
//! Texts, lists and sets are Redis's own, under the actor's keys, so that providers of other makes and generations work
//! on the same data. One multiplexed connection for each distinct link configuration pipelines all calls; when it
//! breaks, calls fail at once as unavailable while each of them has it tried again, and the first after the server is
//! back succeeds. One that was closed while nothing was on its way is noticed before the next call is sent.

mod connection;
mod explain;
mod kind;
mod reading;
mod store;

pub use kind::{Redis, RedisFactory};
pub use store::RedisStore;
