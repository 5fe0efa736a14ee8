//! Identifiers and notices for tests, by number.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use wattle_bus::Bus;
use wattle_types::{ActorId, HostId, ProviderId, subject};
use wattle_wascap::{KeyKind, KeyPair, PublicKey};

use crate::{
    beat::{Beat, Prover, RunningActor},
    rpc::{Surroundings as _, System},
};

pub(crate) fn host(n: u8) -> HostId {
    PublicKey::from_bytes(KeyKind::Host, [n; 32]).try_into().unwrap()
}

pub(crate) fn actor(n: u8) -> ActorId {
    PublicKey::from_bytes(KeyKind::Module, [n; 32]).try_into().unwrap()
}

pub(crate) fn provider(name: &str) -> ProviderId {
    name.parse().unwrap()
}

/// Each is sent after all that were made before.
pub(crate) fn beat(n: u8) -> Beat {
    static SENT: AtomicU64 = AtomicU64::new(1);
    Beat {
        host: host(n),
        name: format!("host-{n}"),
        incarnation: 1,
        version: 1,
        sent: SENT.fetch_add(1, Ordering::Relaxed),
        interval_ms: 1000,
        clock: 0,
        draining: false,
        brief: false,
        last: false,
        asks: Default::default(),
        greets: Default::default(),
        labels: Default::default(),
        actors: Default::default(),
        providers: Default::default(),
    }
}

/// Sends a beat as a host of the cluster does whose key is made of ones.
pub(crate) async fn tell(bus: &dyn Bus, lattice: &str, beat: &Beat) {
    let subject = subject::beat(&lattice.parse().unwrap(), &beat.host.to_string());
    let cluster = KeyPair::from_seed_bytes(KeyKind::Cluster, [1; 32]).unwrap();
    let body = serde_json::to_vec(beat).unwrap();
    let proof = [Prover::new(Arc::new(cluster), vec![]).unwrap().prove(&subject, &body)];
    bus.publish(&subject, None, &proof, body.into()).await.unwrap();
}

/// Returns the time in seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    System.unix_now()
}

/// A host that runs declared actors of version 1.
pub(crate) fn running(n: u8, actors: &[ActorId]) -> Beat {
    let one = RunningActor {
        reference: "v1".into(),
        trial: None,
        revision: 1,
        max_in_flight: 10,
        call_alias: None,
        declared: true,
    };
    Beat { actors: actors.iter().map(|actor| (*actor, one.clone())).collect(), ..beat(n) }
}
