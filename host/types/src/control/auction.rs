//! Auctions: asking all hosts which of them could run something.
//!
//! A host that could answers with a bid, one that could not is silent. A bid reserves nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::or_default;

/// `component.auction`: who could run this actor?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentAuction {
    /// Where the module is.
    #[serde(default, deserialize_with = "or_default")]
    pub component_ref: String,
    /// Our actor id.
    pub component_id: String,
    /// Labels a host must have, with these values.
    #[serde(default, deserialize_with = "or_default")]
    pub constraints: BTreeMap<String, String>,
}

/// A host could run the actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentBid {
    /// As asked.
    pub component_ref: String,
    /// As asked.
    pub component_id: String,
    /// Who bids.
    pub host_id: String,
    /// As asked.
    pub constraints: BTreeMap<String, String>,
}

/// `provider.auction`: who could run this provider?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderAuction {
    /// Where it is.
    #[serde(default, deserialize_with = "or_default")]
    pub provider_ref: String,
    /// Our provider id.
    pub provider_id: String,
    /// Labels a host must have, with these values.
    #[serde(default, deserialize_with = "or_default")]
    pub constraints: BTreeMap<String, String>,
}

/// A host could run the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderBid {
    /// Who bids.
    pub host_id: String,
    /// As asked.
    pub provider_ref: String,
    /// As asked.
    pub provider_id: String,
    /// As asked.
    pub constraints: BTreeMap<String, String>,
}
