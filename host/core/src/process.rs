//! Providers that are processes of their own, spoken to over the bus (`wasmbus`, generation 1).
//!
//! To the rest of the host they are one more kind of [`wattle_types::Provider`]. Owns the child processes, their
//! binaries on disk, and the subjects on which they call actors.
//!
//! Invariants:
//! - Each process signs with a key of its own, so what it sends is proven to come from it; it never sees the key the
//!   host signs with.
//! - Each generation has subjects of its own: health, links and shutdown reach the one process they are meant for.
//! - A process ends with the provider it is: asked, then killed.

mod binary;
mod channel;
mod child;
mod doors;
mod factory;
mod family;
mod host_data;
mod line_rate;
mod provider;
mod supervisor;

use std::{path::PathBuf, sync::Arc, time::Duration};

use wattle_bus::Bus;
use wattle_types::{
    HostId, LatticeId,
    wascap::{KeyPair, PublicKey},
};

pub(crate) use factory::{Resolved, resolve};

/// What provider processes need to join the lattice by themselves, and where their binaries are kept.
#[derive(Clone)]
pub struct ProviderRpc {
    /// Where they connect: `nats://host:port`.
    pub nats_url: String,
    /// The NATS user they are, or empty.
    pub user_jwt: String,
    /// That user's seed, or empty.
    pub user_seed: String,
    /// A folder for their binaries. Made, and made private, when the first one starts.
    pub binaries: PathBuf,
}

impl std::fmt::Debug for ProviderRpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderRpc")
            .field("nats_url", &self.nats_url)
            .field("binaries", &self.binaries)
            .finish_non_exhaustive()
    }
}

/// What all provider processes of one host share.
pub(crate) struct Processes {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) host: HostId,
    pub(crate) lattice: LatticeId,
    pub(crate) rpc: ProviderRpc,
    /// Signs what the host sends to processes.
    pub(crate) cluster: KeyPair,
    pub(crate) call_timeout: Duration,
    doors: Arc<doors::Doors>,
}

impl Processes {
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        host: HostId,
        config: &crate::HostConfig,
        rpc: ProviderRpc,
        cluster: KeyPair,
    ) -> Self {
        let lattice = config.lattice.clone();
        let doors = Arc::new(doors::Doors::new(bus.clone(), lattice.clone(), config.call_timeout));
        Self { bus, host, lattice, rpc, cluster, call_timeout: config.call_timeout, doors }
    }

    fn cluster_issuer(&self) -> PublicKey {
        self.cluster.public_key()
    }
}

/// Returns the seconds since 1970, as tokens count them.
fn unix_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
