//! The `wascap` object of each kind of claims, field for field as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ClaimsKind;
use crate::PublicKey;

/// The metadata of one kind of claims.
pub trait Metadata: Serialize + DeserializeOwned + Clone + sealed::Sealed {
    /// The kind.
    const KIND: ClaimsKind;

    /// Brings names into the form others look them up by; called when signing.
    fn normalize(&mut self) {}

    /// Returns the name for people, if there is one.
    fn name(&self) -> Option<&str>;
}

/// Metadata about somebody who has a key: every kind but invocations.
pub trait Identity: Metadata {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! metadata {
    ($($kind:ident),*) => {$(
        impl sealed::Sealed for $kind {}
        impl Identity for $kind {}
        impl Metadata for $kind {
            const KIND: ClaimsKind = ClaimsKind::$kind;
            fn name(&self) -> Option<&str> {
                self.name.as_deref()
            }
        }
    )*};
}
metadata!(Operator, Account, Provider, Cluster, Host);

/// An actor module: what it is called and what it may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Hash of the module without its token, in upper-case hex. Filled in when a module is signed.
    #[serde(rename = "hash", default)]
    pub module_hash: String,
    /// Free words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Capability contracts it may use.
    #[serde(rename = "caps", default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// A number that grows with each release.
    #[serde(rename = "rev", default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i32>,
    /// A version for people.
    #[serde(rename = "ver", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A name other actors may call it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_alias: Option<String>,
    /// Whether the module is itself a capability provider.
    #[serde(rename = "prov", default)]
    pub provider: bool,
}

impl Actor {
    /// Makes the metadata of an actor without capabilities.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), tags: Some(Vec::new()), capabilities: Some(Vec::new()), ..Self::default() }
    }

    /// Adds a capability contract, such as `wasmcloud:keyvalue`.
    #[must_use]
    pub fn capability(mut self, contract: impl Into<String>) -> Self {
        self.capabilities.get_or_insert_default().push(contract.into());
        self
    }

    /// Adds a free word.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.get_or_insert_default().push(tag.into());
        self
    }

    /// Sets the number that grows with each release.
    #[must_use]
    pub const fn revision(mut self, revision: i32) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Sets the version for people.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the name other actors may call it by. It is normalised when signed.
    #[must_use]
    pub fn call_alias(mut self, alias: impl Into<String>) -> Self {
        self.call_alias = Some(alias.into());
        self
    }
}

impl sealed::Sealed for Actor {}
impl Identity for Actor {}
impl Metadata for Actor {
    const KIND: ClaimsKind = ClaimsKind::Actor;

    fn normalize(&mut self) {
        self.call_alias = self.call_alias.take().map(|alias| normal_alias(&alias));
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Lower case, trimmed, ASCII only; then spaces, dashes and dots are written `_`.
fn normal_alias(alias: &str) -> String {
    let lower = alias.to_lowercase();
    let ascii = lower.trim().chars().filter(char::is_ascii);
    ascii.map(|c| if matches!(c, ' ' | '-' | '.') { '_' } else { c }).collect()
}

/// A capability provider: what it is called and the binaries signed for each platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The contract it serves; newer tools leave it out.
    #[serde(rename = "capid", default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Who makes it.
    #[serde(default)]
    pub vendor: String,
    /// A number that grows with each release.
    #[serde(rename = "rev", default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i32>,
    /// A version for people.
    #[serde(rename = "ver", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Hash of each platform's binary (`x86_64-linux`), in upper-case hex. Filled in when an archive is signed.
    #[serde(default)]
    pub target_hashes: BTreeMap<String, String>,
    /// JSON schema of its link values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<serde_json::Value>,
}

impl Provider {
    /// Makes the metadata of a provider of `contract`.
    #[must_use]
    pub fn new(name: impl Into<String>, contract: impl Into<String>, vendor: impl Into<String>) -> Self {
        Self { name: Some(name.into()), contract: Some(contract.into()), vendor: vendor.into(), ..Self::default() }
    }

    /// Sets the number that grows with each release.
    #[must_use]
    pub const fn revision(mut self, revision: i32) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Sets the version for people.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

macro_rules! signers {
    ($(#[$doc:meta] $kind:ident),*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $kind {
            /// A name for people.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
            /// Further public keys that may sign in its place.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub valid_signers: Option<Vec<String>>,
        }

        impl $kind {
            /// Makes the metadata, without further signers.
            #[must_use]
            pub fn new(name: impl Into<String>) -> Self {
                Self { name: Some(name.into()), valid_signers: Some(Vec::new()) }
            }

            /// Adds a key that may sign in its place.
            #[must_use]
            pub fn signer(mut self, key: PublicKey) -> Self {
                self.valid_signers.get_or_insert_default().push(key.to_string());
                self
            }
        }
    )*};
}
signers!(
    /// An operator: issues accounts.
    Operator,
    /// An account: issues actors and providers.
    Account,
    /// A cluster: signs invocations between hosts.
    Cluster
);

/// A host: its name and labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl Host {
    /// Makes the metadata, without labels.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), labels: None }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.get_or_insert_default().insert(key.into(), value.into());
        self
    }
}

/// One invocation between hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Who is called, and the operation.
    pub target_url: String,
    /// Who calls.
    pub origin_url: String,
    /// Hash over origin, target, operation and message, in upper-case hex.
    pub hash: String,
}

impl sealed::Sealed for Invocation {}
impl Metadata for Invocation {
    const KIND: ClaimsKind = ClaimsKind::Invocation;

    fn name(&self) -> Option<&str> {
        None
    }
}
