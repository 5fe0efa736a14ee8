//! A Wattle host: slots, links, dispatch, live updates and control.
//!
//! A library first: [`Host::builder`] puts one together, with or without a bus. It knows no capability: providers are
//! given to it as factories. See `examples/embed.rs` for the smallest whole program.
//!
//! Invariants:
//! - A call stays in the generation it entered; a replaced generation lives until its last call has left.
//! - The routing snapshot is replaced as a whole; the hot path takes no lock.
//! - A link outlives the provider that serves it.
//! - Any failure before a new generation is published leaves the old one serving.

mod actor;
mod actor_table;
mod admission;
mod auction;
mod authz;
mod config;
mod configs;
mod control;
mod deployer;
mod dispatch;
mod error;
mod events;
mod fetch;
mod flight;
mod host;
mod http;
mod inventory;
mod known_modules;
mod labels;
mod links;
mod load;
mod locks;
mod mesh;
mod meter;
mod observe;
mod process;
mod provider;
mod registries;
mod routes;
mod sharded;
mod slot;
mod state;
mod steps;
mod validity;

pub use actor::ActorFacts;
pub use config::HostConfig;
pub use configs::ConfigError;
pub use control::PermitError;
pub use error::HostError;
pub use fetch::FetchError;
pub use host::{Host, HostBuilder, StartActor, StartProvider};
pub use labels::LabelError;
pub use links::LinkError;
pub use process::ProviderRpc;
#[doc(hidden)]
pub use routes::RouteTable;
pub use steps::{Step, Steps};
pub use wattle_runtime::{Engine, EngineConfig, EngineError, Limits, restores_sandboxes};
