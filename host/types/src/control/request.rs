//! What control interface v1 is asked: actors, providers, hosts and links.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::LinkName;

/// Reads a field that clients leave out, or send as `null`.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Reads a link's name that clients leave out, or send as `null`.
fn or_default_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(default_link_name))
}

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
    #[serde(default = "default_link_name", deserialize_with = "or_default_name")]
    pub name: String,
    /// `wasmcloud` of `wasmcloud:keyvalue`.
    pub wit_namespace: String,
    /// `keyvalue` of `wasmcloud:keyvalue`.
    pub wit_package: String,
    /// Interfaces of the package; ours has one, named like the package.
    #[serde(default, deserialize_with = "or_default")]
    pub interfaces: Vec<String>,
    /// Names of configurations.
    #[serde(default, deserialize_with = "or_default")]
    pub source_config: Vec<String>,
    /// Names of configurations.
    #[serde(default, deserialize_with = "or_default")]
    pub target_config: Vec<String>,
}

fn default_link_name() -> String {
    LinkName::DEFAULT.into()
}

/// `component.scale.{host}`: run, resize or stop an actor. How often it runs at once is `count`, or `max_instances`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleComponent {
    /// Where the module is; not needed to stop it.
    #[serde(default, deserialize_with = "or_default")]
    pub component_ref: String,
    /// Our actor id.
    pub component_id: String,
    /// Most calls at once; 0 stops the actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The same in the words of other clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<u32>,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The host asked.
    #[serde(default, deserialize_with = "or_default")]
    pub host_id: String,
    /// Names of configurations.
    #[serde(default, deserialize_with = "or_default")]
    pub config: Vec<String>,
    /// Whether another reference of a running actor is an update.
    #[serde(default, deserialize_with = "or_default")]
    pub allow_update: bool,
}

impl ScaleComponent {
    /// Returns how many calls may run at once, if the request says so; `count` comes first.
    #[must_use]
    pub fn wanted(&self) -> Option<u32> {
        self.count.or(self.max_instances)
    }
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
    #[serde(default, deserialize_with = "or_default")]
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
    #[serde(default, deserialize_with = "or_default")]
    pub host_id: String,
    /// Names of configurations.
    #[serde(default, deserialize_with = "or_default")]
    pub config: Vec<String>,
    /// Kept in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// `provider.stop.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProvider {
    /// The host asked.
    #[serde(default, deserialize_with = "or_default")]
    pub host_id: String,
    /// Our provider id.
    #[serde(alias = "provider_ref")]
    pub provider_id: String,
}

/// `host.stop.{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopHost {
    /// The host asked.
    #[serde(default, deserialize_with = "or_default")]
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
    #[serde(default = "default_link_name", deserialize_with = "or_default_name")]
    pub name: String,
    /// `wasmcloud` of `wasmcloud:keyvalue`.
    pub wit_namespace: String,
    /// `keyvalue` of `wasmcloud:keyvalue`.
    pub wit_package: String,
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;
    use crate::control::{ComponentAuction, ProviderAuction, RegistryCredential};

    fn read<T: DeserializeOwned>(json: serde_json::Value) -> T {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn null_is_what_was_left_out() {
        let nulls = json!({
            "component_ref": null, "component_id": "a", "count": null, "max_instances": null, "annotations": null,
            "host_id": null, "config": null, "allow_update": null, "provider_id": "a", "provider_ref": "x",
            "new_component_ref": "x", "timeout": null, "constraints": null, "source_id": "a", "target": "b",
            "name": null, "wit_namespace": "n", "wit_package": "p", "interfaces": null, "source_config": null,
            "target_config": null, "registryType": null, "username": null,
        });
        let given = nulls.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let left_out = json!(given.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>());
        fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(nulls: &serde_json::Value, out: &serde_json::Value) {
            assert_eq!(read::<T>(nulls.clone()), read::<T>(out.clone()));
        }
        same::<ScaleComponent>(&nulls, &left_out);
        same::<UpdateComponent>(&nulls, &left_out);
        same::<StartProvider>(&nulls, &left_out);
        same::<StopHost>(&nulls, &left_out);
        same::<Link>(&nulls, &left_out);
        same::<DeleteLink>(&nulls, &left_out);
        same::<ComponentAuction>(&nulls, &left_out);
        same::<ProviderAuction>(&nulls, &left_out);
        same::<RegistryCredential>(&nulls, &left_out);
        assert_eq!(read::<Link>(nulls).name, "default");
        assert_eq!(read::<StopHost>(json!({})).host_id, "");
    }

    #[test]
    fn a_scale_has_one_count_under_either_name_or_none() {
        for (json, count) in [
            (json!({ "component_id": "a", "count": 0 }), Some(0)),
            (json!({ "component_id": "a", "max_instances": 3 }), Some(3)),
            (json!({ "component_id": "a", "count": 2, "max_instances": 3 }), Some(2)),
            (json!({ "component_id": "a" }), None),
        ] {
            assert_eq!(read::<ScaleComponent>(json).wanted(), count);
        }
    }
}
