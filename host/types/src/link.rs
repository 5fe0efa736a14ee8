//! Links: permission and configuration that join an actor to a provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ActorId, ContractId, LinkName, ProviderId};

/// What makes a link unique: an actor has one link for each contract and link name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkKey {
    /// The actor.
    pub actor: ActorId,
    /// The contract, spelled as the actor's claims spell it.
    pub contract: ContractId,
    /// The link's name.
    #[serde(default)]
    pub link_name: LinkName,
}

/// A link. It outlives the provider that serves it: without one, calls over it are refused at once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkDefinition {
    /// Whose link this is.
    #[serde(flatten)]
    pub key: LinkKey,
    /// Who serves it.
    pub provider: ProviderId,
    /// Configuration for the provider. May hold secrets: never logged.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

impl std::fmt::Debug for LinkDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkDefinition")
            .field("key", &self.key)
            .field("provider", &self.provider)
            .field("values", &self.values.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_flat_and_debug_hides_values() {
        let json = r#"{"actor":"MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP",
            "contract":"wasmcloud:keyvalue","provider":"kv","values":{"url":"redis://:secret@x"}}"#;
        let link: LinkDefinition = serde_json::from_str(json).unwrap();
        assert_eq!(link.key.link_name.as_str(), "default");
        assert!(!format!("{link:?}").contains("secret"));
        assert_eq!(serde_json::from_str::<LinkDefinition>(&serde_json::to_string(&link).unwrap()).unwrap(), link);
    }
}
