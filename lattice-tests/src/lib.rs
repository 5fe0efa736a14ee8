//! Tests that join hosts, providers, tools and third parties.
//!
//! The library half brings what the tests run: guests and tools of others, as they are published.

mod third_party;

pub use third_party::{Guest, ThirdParty};
