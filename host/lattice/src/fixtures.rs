//! Identifiers and notices for tests, by number.

use wattle_types::{ActorId, HostId, ProviderId};
use wattle_wascap::{KeyKind, PublicKey};

use crate::beat::{Beat, RunningActor};

pub(crate) fn host(n: u8) -> HostId {
    PublicKey::from_bytes(KeyKind::Host, [n; 32]).try_into().unwrap()
}

pub(crate) fn actor(n: u8) -> ActorId {
    PublicKey::from_bytes(KeyKind::Module, [n; 32]).try_into().unwrap()
}

pub(crate) fn provider(name: &str) -> ProviderId {
    name.parse().unwrap()
}

pub(crate) fn beat(n: u8) -> Beat {
    Beat {
        host: host(n),
        name: format!("host-{n}"),
        incarnation: 1,
        version: 1,
        interval_ms: 1000,
        clock: 0,
        draining: false,
        brief: false,
        last: false,
        asks: Default::default(),
        labels: Default::default(),
        actors: Default::default(),
        providers: Default::default(),
    }
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
