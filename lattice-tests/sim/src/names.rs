//! Identifiers by number, and references that say how a version behaves.

use std::{fmt, str::FromStr, time::Duration};

use wattle_types::{
    ActorId, ContractId, HostId, LinkKey, LinkName, ProviderId,
    wascap::{KeyKind, PublicKey},
};

use crate::chance::Chance;

/// How many actors there are.
pub(crate) const ACTORS: u8 = 4;
/// How many providers there are.
pub(crate) const PROVIDERS: u8 = 3;

fn key(kind: KeyKind, number: u8) -> PublicKey {
    PublicKey::from_bytes(kind, [number + 1; 32])
}

pub(crate) fn host(number: u8) -> HostId {
    #[expect(clippy::expect_used, reason = "the key is of the kind that a host has")]
    key(KeyKind::Host, number).try_into().expect("a host's key is one")
}

pub(crate) fn actor(number: u8) -> ActorId {
    #[expect(clippy::expect_used, reason = "the key is of the kind that a module has")]
    key(KeyKind::Module, number).try_into().expect("a module's key is one")
}

fn named<T: FromStr>(text: &str) -> T {
    #[expect(clippy::expect_used, reason = "only called with the names below")]
    text.parse().ok().expect("the name is one")
}

pub(crate) fn provider(number: u8) -> ProviderId {
    named(&format!("provider{number}"))
}

pub(crate) fn actors() -> Vec<ActorId> {
    (0..ACTORS).map(actor).collect()
}

pub(crate) fn providers() -> Vec<ProviderId> {
    (0..PROVIDERS).map(provider).collect()
}

/// Returns the keys of all links there may be: each actor may have two.
pub(crate) fn links() -> Vec<LinkKey> {
    let contracts = ["sim:store", "sim:queue"].map(named::<ContractId>);
    let links = actors().into_iter().flat_map(|actor| contracts.clone().map(|contract| (actor, contract)));
    links.map(|(actor, contract)| LinkKey { actor, contract, link_name: LinkName::default() }).collect()
}

/// How a version behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    Slow,
    Failing,
}

/// A version of an actor or provider: all that its reference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: i32,
    pub(crate) quality: Quality,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quality = match self.quality {
            Quality::Good => "good",
            Quality::Slow => "slow",
            Quality::Failing => "failing",
        };
        write!(f, "{}/{quality}", self.number)
    }
}

impl Version {
    /// Reads the reference of a target's version: `target/number/quality`.
    pub(crate) fn parse(reference: &str) -> Option<Self> {
        let mut parts = reference.rsplit('/');
        let quality = match parts.next()? {
            "good" => Quality::Good,
            "slow" => Quality::Slow,
            "failing" => Quality::Failing,
            _ => return None,
        };
        Some(Self { number: parts.next()?.parse().ok()?, quality })
    }

    /// Returns how long one call of this version takes, and whether it fails.
    pub(crate) fn behave(self, chance: &Chance) -> (Duration, bool) {
        match self.quality {
            Quality::Good => (chance.millis(1..=20), false),
            Quality::Slow => (chance.millis(300..=900), false),
            Quality::Failing => (chance.millis(1..=10), true),
        }
    }
}
