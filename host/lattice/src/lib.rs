//! Hosts as one mesh: shared state, calls between hosts, placement and rollouts.
//!
//! Knows the bus and its key-value buckets; knows no engine and no capability, so that a whole lattice runs in one
//! thread from a seed. What is decided is decided by plain functions from state and event to effects ([`beat`],
//! [`directory`], [`leader`], [`placement`], [`reconcile`], [`rollout`]); thin tasks feed them.

pub mod beat;
pub mod directory;
#[cfg(test)]
mod fixtures;
pub mod leader;
pub mod node;
pub mod placement;
pub mod reconcile;
pub mod rollout;
pub mod rpc;
pub mod spec;
