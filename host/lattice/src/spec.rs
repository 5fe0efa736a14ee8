//! What the lattice's buckets hold: links and claims as wasmCloud 1.x writes them, and what we keep beside them.
//!
//! Other programs, older and newer ones, write here too. So reading is tolerant: what is not ours is ignored, what is
//! broken is [`Entry::Poisoned`] and never applied, and fields we do not know are kept when we rewrite an entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use wattle_types::{ActorId, ActorName, LatticeId, ProviderId};

use crate::{
    leader::{Lease, TERM_MAX},
    rollout::Rollout,
};

mod claims;
mod component;
mod data;
mod declared;
mod edit;
mod link;
mod name;

pub use claims::Claims;
pub use component::Component;
pub use data::{Bucket, Changed, LatticeData};
pub use declared::{DeclaredActor, DeclaredProvider, Spread, Versions};
pub(crate) use edit::check;
pub use edit::{Edit, EditError, delete_link, delete_wire, put_claims, put_link, put_url, put_wire, to_bytes};
pub use link::{LinkSpec, Resolved, resolve};
pub use name::{Named, name_key};

/// Fields of an entry that newer or other programs wrote.
pub type Extra = BTreeMap<String, Value>;

/// Largest value that is read, in bytes: as much as NATS carries by default.
const VALUE_LEN_MAX: usize = 1024 * 1024;

const COMPONENT: &str = "COMPONENT_";
const CLAIMS: &str = "CLAIMS_";
const ACTOR: &str = "WATTLE_ACTOR_";
const PROVIDER: &str = "WATTLE_PROVIDER_";
const NAME: &str = "WATTLE_NAME_";
const ROLLOUT: &str = "WATTLE_ROLLOUT_";
/// Names of configurations that refer to secrets, which are not kept here.
const SECRET: &str = "SECRET_";

/// The key of the [`Lease`].
pub const LEADER_KEY: &str = "WATTLE_LEADER";

/// Returns the name of the bucket for links, claims and what is declared.
#[must_use]
pub fn lattice_bucket(lattice: &LatticeId) -> String {
    format!("LATTICEDATA_{lattice}")
}

/// Returns the name of the bucket for named configurations.
#[must_use]
pub fn config_bucket(lattice: &LatticeId) -> String {
    format!("CONFIGDATA_{lattice}")
}

/// Returns the key of the entry that holds the links of a source.
#[must_use]
pub fn component_key(source: &str) -> String {
    format!("{COMPONENT}{source}")
}

/// Returns the key of the claims of a module or provider.
#[must_use]
pub fn claims_key(subject: &str) -> String {
    format!("{CLAIMS}{subject}")
}

/// An actor or a provider: what is declared, placed and rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A provider. Before actors in order, because actors need them.
    Provider(ProviderId),
    /// An actor.
    Actor(ActorId),
}

impl Target {
    /// Returns the key of its declaration.
    #[must_use]
    pub fn declared_key(&self) -> String {
        match self {
            Self::Actor(actor) => format!("{ACTOR}{actor}"),
            Self::Provider(provider) => format!("{PROVIDER}{provider}"),
        }
    }

    /// Returns the key of its rollout.
    #[must_use]
    pub fn rollout_key(&self) -> String {
        format!("{ROLLOUT}{self}")
    }

    /// Reads an identifier: a module's key is an actor, everything else a provider.
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(actor) => Ok(Self::Actor(actor)),
            Err(_) => text.parse().map(Self::Provider).map_err(|error| format!("{error}")),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Actor(actor) => actor.fmt(f),
            Self::Provider(provider) => provider.fmt(f),
        }
    }
}

/// One entry of a bucket, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// `COMPONENT_{id}`: the links whose source is this id.
    Component(Component),
    /// `CLAIMS_{key}`.
    Claims(Claims),
    /// `WATTLE_ACTOR_{id}`.
    Actor(ActorId, DeclaredActor),
    /// `WATTLE_PROVIDER_{id}`.
    Provider(ProviderId, DeclaredProvider),
    /// `WATTLE_LEADER`.
    Lease(Lease),
    /// `WATTLE_NAME_{name}`.
    Name(ActorName, Named),
    /// `WATTLE_ROLLOUT_{id}`.
    Rollout(Rollout),
    /// A named configuration.
    Config(BTreeMap<String, String>),
    /// Somebody else's.
    Ignored,
    /// Broken: never applied.
    Poisoned {
        /// Why, for people.
        why: String,
    },
}

/// Reads one entry of a bucket.
#[must_use]
pub fn parse(bucket: Bucket, key: &str, value: &[u8]) -> Entry {
    let is_config = bucket == Bucket::Config && !key.starts_with(SECRET);
    let entry = if value.len() > VALUE_LEN_MAX {
        Err(format!("{} bytes are more than {VALUE_LEN_MAX}", value.len()))
    } else if bucket == Bucket::Config {
        if is_config { json(value).map(Entry::Config) } else { Ok(Entry::Ignored) }
    } else {
        parse_lattice(key, value)
    };
    entry.unwrap_or_else(|why| Entry::Poisoned { why })
}

fn parse_lattice(key: &str, value: &[u8]) -> Result<Entry, String> {
    if key == LEADER_KEY {
        let lease: Lease = json(value)?;
        let is_possible = lease.term <= TERM_MAX;
        return is_possible.then_some(Entry::Lease(lease)).ok_or_else(|| format!("no term is after {TERM_MAX}"));
    }
    if let Some(source) = key.strip_prefix(COMPONENT) {
        return Component::parse(source, value).map(Entry::Component);
    }
    if let Some(subject) = key.strip_prefix(CLAIMS) {
        return Claims::parse(subject, value).map(Entry::Claims);
    }
    if let Some(id) = key.strip_prefix(ACTOR) {
        let id = id.parse().map_err(|error| format!("{error}"))?;
        let declared: DeclaredActor = json(value)?;
        return declared.check().map(|()| Entry::Actor(id, declared));
    }
    if let Some(id) = key.strip_prefix(PROVIDER) {
        let id = id.parse().map_err(|error| format!("{error}"))?;
        let declared: DeclaredProvider = json(value)?;
        return declared.check().map(|()| Entry::Provider(id, declared));
    }
    if let Some(name) = key.strip_prefix(NAME) {
        return Ok(Entry::Name(name::parse(name)?, json(value)?));
    }
    if let Some(id) = key.strip_prefix(ROLLOUT) {
        let rollout: Rollout = json(value)?;
        if Target::parse(id)? != rollout.target {
            return Err(format!("it is a rollout of {}", rollout.target));
        }
        return rollout.check().map(|()| Entry::Rollout(rollout));
    }
    // `LINKDEF_*` and `REFMAP_*` of older lattices, and whatever comes next.
    Ok(Entry::Ignored)
}

fn json<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| not_quoted(&error))
}

/// Says where something is broken, not what stands there: values may be secret.
fn not_quoted(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "it is not what belongs here",
        _ => "it is no JSON",
    };
    format!("{what}: line {}, column {}", error.line(), error.column())
}

/// Returns what a broken declaration would have declared, so that it is left alone.
fn declared_target(key: &str) -> Option<Target> {
    let actor = || key.strip_prefix(ACTOR)?.parse().ok().map(Target::Actor);
    actor().or_else(|| key.strip_prefix(PROVIDER)?.parse().ok().map(Target::Provider))
}

#[cfg(test)]
mod tests;
