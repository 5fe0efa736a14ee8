//! Identifiers: one type each, checked when they are read.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wattle_wascap::{KeyError, KeyKind, PublicKey};

/// Longest name of a provider, link, contract or lattice, in bytes. They become parts of NATS subjects.
const NAME_LEN_MAX: usize = 128;

/// Why a text is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is not a key of the needed kind.
    #[error("{text:?} is not {what}: {source}")]
    Key {
        /// What was expected, for example "an actor id (M...)".
        what: &'static str,
        /// The text, shortened.
        text: String,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// The text is empty, too long, or has characters a subject token cannot hold.
    #[error("{text:?} is not {what}: use 1 to 128 letters, digits, '_', '-', ':', '/' or '@'")]
    Name {
        /// What was expected.
        what: &'static str,
        /// The text, shortened.
        text: String,
    },
}

impl IdError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "id_invalid"
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! key_id {
    ($(#[$doc:meta])* $name:ident, $kind:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(PublicKey);

        impl $name {
            /// Returns the key behind this identifier.
            #[must_use]
            pub const fn public_key(&self) -> PublicKey {
                self.0
            }
        }

        impl TryFrom<PublicKey> for $name {
            type Error = IdError;

            fn try_from(key: PublicKey) -> Result<Self, IdError> {
                key.expect_kind($kind)
                    .map(Self)
                    .map_err(|source| IdError::Key { what: $what, text: key.to_string(), source })
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.parse::<PublicKey>()
                    .and_then(|key| key.expect_kind($kind))
                    .map(Self)
                    .map_err(|source| IdError::Key { what: $what, text: shorten(text), source })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        text_forms!($name);
    };
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// For maps, which find it by its text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > NAME_LEN_MAX || !text.bytes().all(allowed) {
                    return Err(IdError::Name { what: $what, text: shorten(text) });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_forms!($name);
    };
}

macro_rules! text_forms {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn is_contract(byte: u8) -> bool {
    is_token(byte) || matches!(byte, b':' | b'/' | b'@' | b'.')
}

key_id!(
    /// The identity of an actor: its module's public key (`M...`).
    ActorId, KeyKind::Module, "an actor id (56 characters, M...)"
);
key_id!(
    /// The identity of a host (`N...`).
    HostId, KeyKind::Host, "a host id (56 characters, N...)"
);
key_id!(
    /// The account (`A...`) that signed a module or provider.
    IssuerId, KeyKind::Account, "an issuer (account) id (56 characters, A...)"
);
name_id!(
    /// What tools of others call an actor in a lattice. The text of no key: that is an [`ActorId`].
    ActorName, "the name of an actor", is_token
);
name_id!(
    /// The identity of a running provider: its public key (`V...`), or a name given when it was started.
    ProviderId, "a provider id", is_token
);
name_id!(
    /// An abstract capability, `namespace:package`, for example `wasmcloud:keyvalue`.
    ContractId, "a capability contract", is_contract
);
name_id!(
    /// Tells apart several links of one actor with the same contract.
    LinkName, "a link name", is_token
);
name_id!(
    /// The mesh a host belongs to. Lattices on one NATS do not see each other.
    LatticeId, "a lattice name", is_token
);

impl LinkName {
    /// The name a link has when nobody gives it one.
    pub const DEFAULT: &'static str = "default";
}

impl Default for LinkName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl Default for LatticeId {
    fn default() -> Self {
        Self("default".into())
    }
}

impl From<PublicKey> for ProviderId {
    fn from(key: PublicKey) -> Self {
        Self(key.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTOR: &str = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP";
    const ACCOUNT: &str = "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV";

    #[test]
    fn a_key_id_accepts_its_own_kind_only() {
        assert_eq!(ACTOR.parse::<ActorId>().unwrap().to_string(), ACTOR);
        assert!(matches!(ACCOUNT.parse::<ActorId>(), Err(IdError::Key { .. })));
        assert_eq!(
            ACCOUNT.parse::<ActorId>().unwrap_err().to_string(),
            format!(
                "{ACCOUNT:?} is not an actor id (56 characters, M...): \
                 expected a key of kind module (M...), found one of kind account"
            )
        );
    }

    #[test]
    fn a_name_cannot_leave_its_subject_token() {
        for bad in ["", "a.b", "a b", "*", ">", "ä", &"x".repeat(129)] {
            assert!(bad.parse::<ProviderId>().is_err(), "{bad:?}");
            assert!(bad.parse::<LatticeId>().is_err(), "{bad:?}");
        }
        assert!("kv-1".parse::<ProviderId>().is_ok());
        assert!("wasmcloud:builtin:logging".parse::<ContractId>().is_ok());
        assert!("wasmcloud:key*".parse::<ContractId>().is_err());
    }

    #[test]
    fn ids_are_text_on_every_wire() {
        let id: ActorId = ACTOR.parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("{ACTOR:?}"));
        assert!(serde_json::from_str::<ActorId>("\"MXX\"").is_err());
    }
}
