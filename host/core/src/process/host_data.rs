//! What a process is told on its standard input: one line, standard base64 of JSON.

use data_encoding::BASE64;
use serde::Serialize;
use serde_json::Value;
use wattle_types::LinkDefinition;

/// The keys are the contract's, all of them needed by one program or another.
#[derive(Serialize)]
pub(super) struct HostData<'a> {
    pub(super) host_id: String,
    pub(super) lattice_rpc_prefix: &'a str,
    pub(super) link_name: &'a str,
    pub(super) lattice_rpc_user_jwt: &'a str,
    pub(super) lattice_rpc_user_seed: &'a str,
    pub(super) lattice_rpc_url: &'a str,
    pub(super) provider_key: &'a str,
    pub(super) invocation_seed: String,
    pub(super) env_values: serde_json::Map<String, Value>,
    pub(super) instance_id: String,
    pub(super) link_definitions: [Value; 0],
    pub(super) cluster_issuers: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config_json: Option<&'a str>,
    pub(super) default_rpc_timeout_ms: u64,
    pub(super) structured_logging: bool,
}

impl HostData<'_> {
    /// Returns the line, with its end.
    pub(super) fn line(&self) -> serde_json::Result<String> {
        let mut line = BASE64.encode(&serde_json::to_vec(self)?);
        line.push('\n');
        Ok(line)
    }
}

/// A link as processes read it, in MessagePack.
#[derive(Serialize)]
pub(super) struct WireLink<'a> {
    actor_id: String,
    provider_id: &'a str,
    link_name: &'a str,
    contract_id: &'a str,
    values: &'a std::collections::BTreeMap<String, String>,
}

impl<'a> WireLink<'a> {
    /// Writes `link` as one with the process whose key is `provider_key`.
    pub(super) fn new(link: &'a LinkDefinition, provider_key: &'a str) -> Self {
        Self {
            actor_id: link.key.actor.to_string(),
            provider_id: provider_key,
            link_name: link.key.link_name.as_str(),
            contract_id: link.key.contract.as_str(),
            values: &link.values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_base64_of_json_with_the_contracts_keys() {
        let data = HostData {
            host_id: "N".into(),
            lattice_rpc_prefix: "default",
            link_name: "default",
            lattice_rpc_user_jwt: "",
            lattice_rpc_user_seed: "",
            lattice_rpc_url: "nats://127.0.0.1:4222",
            provider_key: "V",
            invocation_seed: "SC".into(),
            env_values: serde_json::Map::new(),
            instance_id: "i".into(),
            link_definitions: [],
            cluster_issuers: ["C".into()],
            config_json: None,
            default_rpc_timeout_ms: 2000,
            structured_logging: false,
        };
        let line = data.line().unwrap();
        let json = BASE64.decode(line.strip_suffix('\n').unwrap().as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"host_id":"N","lattice_rpc_prefix":"default","link_name":"default","lattice_rpc_user_jwt":"","#
                .to_owned()
                + r#""lattice_rpc_user_seed":"","lattice_rpc_url":"nats://127.0.0.1:4222","provider_key":"V","#
                + r#""invocation_seed":"SC","env_values":{},"instance_id":"i","link_definitions":[],"#
                + r#""cluster_issuers":["C"],"default_rpc_timeout_ms":2000,"structured_logging":false}"#
        );
    }
}
