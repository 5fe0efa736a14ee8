//! One conformance suite for each capability contract.
//!
//! A back end passes by naming a set-up function to [`keyvalue_store_suite!`] and [`keyvalue_provider_suite!`], which
//! make one test of every case. The first speaks to the trait, the second to a whole provider in every dialect. What
//! the cases claim is the contract; a back end has no suite of its own for it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed check ends the test that asked for it"
)]

mod keyvalue_provider;
mod keyvalue_store;
mod redis_server;
mod rig;

pub use keyvalue_provider::cases as keyvalue_provider_cases;
pub use keyvalue_store::{StoreSubject, cases as keyvalue_store_cases};
pub use redis_server::RedisServer;
pub use rig::{ACTOR, ProviderSubject, Rig};
