//! Calls between hosts: the caller chooses the host, and a session between the two proves each message.

mod call;
mod failure;
mod identity;

pub use call::{Origin, RemoteCall, Serve, Target};
pub use failure::{CallFailure, NotRun, Refusal};
pub use identity::{Identity, NoRandomness, Surroundings, System};
