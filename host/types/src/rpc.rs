//! Invocations between processes, generation 1 (`wasmbus.rpc`): MessagePack maps with named fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One end of an invocation. Actors have an empty link name and contract.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entity {
    /// `M...` or `V...`.
    pub public_key: String,
    /// Empty for actors.
    #[serde(default)]
    pub link_name: String,
    /// Empty for actors.
    #[serde(default)]
    pub contract_id: String,
}

impl Entity {
    /// Returns the URL that the anti-forgery token signs.
    #[must_use]
    pub fn url(&self) -> String {
        if self.public_key.starts_with('M') {
            return format!("wasmbus://{}", self.public_key);
        }
        let contract = self.contract_id.replace(':', "/").replace(' ', "_").to_lowercase();
        let link = self.link_name.replace(' ', "_").to_lowercase();
        format!("wasmbus://{contract}/{link}/{}", self.public_key)
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Who calls.
    pub origin: Entity,
    /// Who is called.
    pub target: Entity,
    /// What for.
    pub operation: String,
    /// The request's bytes.
    #[serde(with = "serde_bytes")]
    pub msg: Vec<u8>,
    /// UUID without dashes.
    pub id: String,
    /// A wascap invocation token over the fields above.
    pub encoded_claims: String,
    /// The host it comes from.
    pub host_id: String,
    /// True length when `msg` travels in the object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    /// W3C trace context.
    #[serde(rename = "traceContext", default, skip_serializing_if = "Option::is_none")]
    pub trace_context: Option<BTreeMap<String, String>>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InvocationResponse {
    /// The response's bytes; to be ignored when there is an error.
    #[serde(with = "serde_bytes", default)]
    pub msg: Vec<u8>,
    /// The request's id.
    pub invocation_id: String,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True length when `msg` travels in the object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
}
