//! NATS subjects, each built in one place.

use crate::{ActorId, HostId, LatticeId, LinkName, ProviderId};

/// Prefix of the control interface, before version and lattice.
pub const CONTROL_PREFIX: &str = "wasmbus.ctl";

/// Returns `wasmbus.ctl.v1.{lattice}.{verb}`, for verbs every host or one of a queue group answers.
#[must_use]
pub fn control(lattice: &LatticeId, verb: &str) -> String {
    format!("{CONTROL_PREFIX}.v1.{lattice}.{verb}")
}

/// Returns `wasmbus.ctl.v1.{lattice}.{verb}.{host}`, for verbs one host answers.
#[must_use]
pub fn control_host(lattice: &LatticeId, verb: &str, host: &HostId) -> String {
    format!("{CONTROL_PREFIX}.v1.{lattice}.{verb}.{host}")
}

/// Returns the subject of one kind of event. `name` may be `*`.
#[must_use]
pub fn event(lattice: &LatticeId, name: &str) -> String {
    format!("wasmbus.evt.{lattice}.{name}")
}

/// Returns the subject on which hosts that run `actor` take invocations.
#[must_use]
pub fn rpc_actor(lattice: &LatticeId, actor: &ActorId) -> String {
    format!("wasmbus.rpc.{lattice}.{actor}")
}

/// Returns the subject on which a provider process takes invocations.
#[must_use]
pub fn rpc_provider(lattice: &LatticeId, provider: &ProviderId, link_name: &LinkName) -> String {
    format!("wasmbus.rpc.{lattice}.{provider}.{link_name}")
}

/// Returns the subject on which hosts tell what they run, one for each host. `host` may be `*`.
#[must_use]
pub fn beat(lattice: &LatticeId, host: &str) -> String {
    format!("wasmbus.beat.{lattice}.{host}")
}

/// Returns the subject on which one host takes calls of other hosts.
#[must_use]
pub fn rpc_host(lattice: &LatticeId, host: &HostId) -> String {
    format!("wasmbus.rpc.{lattice}.{host}")
}
