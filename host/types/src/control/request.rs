//! What control interface v1 is asked: actors, providers, hosts and links.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::LinkName;

/// A link on the control interface: `source` calls `target`.
///
/// The contract `ns:pkg` is `wit_namespace` and `wit_package`; the values stand in `source_config` and `target_config`
/// as names of configurations, ours inline in `values`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Actor or provider that calls.
    pub source_id: String,
    /// Actor or provider that is called.
    pub target: String,
    /// The link's name.
    #[serde(default = "default_link_name")]
    pub name: String,
    /// `wasmcloud` of `wasmcloud:keyvalue`.
    pub wit_namespace: String,
    /// `keyvalue` of `wasmcloud:keyvalue`.
    pub wit_package: String,
    /// Interfaces of the package; ours has one, named like the package.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Names of configurations.
    #[serde(default)]
    pub source_config: Vec<String>,
    /// Names of configurations.
    #[serde(default)]
    pub target_config: Vec<String>,
}

fn default_link_name() -> String {
    LinkName::DEFAULT.into()
}

/// `component.scale.{host}`: run, resize (`count` is the most calls at once) or stop (0) an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleComponent {
    /// Where the module is; not needed to stop it.
    #[serde(default)]
    pub component_ref: String,
    /// Our actor id.
    pub component_id: String,
    /// Most calls at once; 0 stops the actor.
    #[serde(default)]
    pub count: u32,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
    /// Names of configurations.
    #[serde(default)]
    pub config: Vec<String>,
    /// Whether another reference of a running actor is an update.
    #[serde(default)]
    pub allow_update: bool,
}

/// `component.update.{host}`: replace a running actor's module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateComponent {
    /// Our actor id.
    pub component_id: String,
    /// Where the new module is.
    pub new_component_ref: String,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
}

/// `provider.start.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartProvider {
    /// Our provider id.
    pub provider_id: String,
    /// Where it is.
    pub provider_ref: String,
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
    /// Names of configurations.
    #[serde(default)]
    pub config: Vec<String>,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// `provider.stop.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProvider {
    /// The host asked.
    #[serde(default)]
    pub host_id: String,
    /// Our provider id.
    #[serde(alias = "provider_ref")]
    pub provider_id: String,
}

/// `host.stop.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopHost {
    /// The host asked.
    pub host_id: String,
    /// How long work in flight may take to end.
    #[serde(default, rename = "timeout", skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// `link.del`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteLink {
    /// Who calls over it.
    pub source_id: String,
    /// The link's name.
    #[serde(default = "default_link_name")]
    pub name: String,
    /// `wasmcloud` of `wasmcloud:keyvalue`.
    pub wit_namespace: String,
    /// `keyvalue` of `wasmcloud:keyvalue`.
    pub wit_package: String,
}
