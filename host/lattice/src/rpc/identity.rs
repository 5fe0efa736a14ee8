//! Who a host is to others, and what it takes from the machine it runs on.

use std::time::{SystemTime, UNIX_EPOCH};

use wattle_types::{
    HostId, LatticeId,
    wascap::{KeyPair, PublicKey},
};

/// Who this host is, and whom it trusts.
#[derive(Debug)]
pub struct Identity {
    /// Its lattice. Hosts of others are refused.
    pub lattice: LatticeId,
    /// Itself.
    pub host: HostId,
    /// Signs first contacts (`C...`). Whoever holds a trusted cluster key can speak for any host of the lattice.
    pub cluster: KeyPair,
    /// Cluster keys trusted of other hosts; its own is trusted too.
    pub issuers: Vec<PublicKey>,
}

impl Identity {
    pub(super) fn trusts(&self, issuer: &PublicKey) -> bool {
        *issuer == self.cluster.public_key() || self.issuers.contains(issuer)
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// What sessions need of the machine. A simulation has its own.
pub trait Surroundings: Send + Sync + 'static {
    /// Fills `bytes` with what nobody can guess.
    ///
    /// # Errors
    /// [`NoRandomness`]: no session is made then.
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;

    /// Returns the time in seconds since 1970.
    fn unix_now(&self) -> u64;

    /// Returns the time in milliseconds since 1970. Starts of one host are told apart by it, the later one by more.
    ///
    /// Without a finer clock, chance tells starts within a second apart, not which was later.
    fn unix_millis(&self) -> u64 {
        let mut chance = [0; 2];
        let chance = self.fill_random(&mut chance).map_or(0, |()| u64::from(u16::from_le_bytes(chance) % 1000));
        self.unix_now().saturating_mul(1000).saturating_add(chance)
    }
}

/// The operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Surroundings for System {
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }

    fn unix_now(&self) -> u64 {
        // A clock before 1970 makes every first contact stale, which says what is wrong.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn unix_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
