//! What a host shows a server to be let in.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// `registry.put` maps the names of servers to these. Without a token and a name, the server is shown nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryCredential {
    /// Of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A bearer token, which comes before a user's name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who the host is to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What kind of server it is; taken as it comes.
    #[serde(rename = "registryType", default = "default_kind", deserialize_with = "or_default_kind")]
    pub registry_type: String,
}

fn default_kind() -> String {
    "oci".into()
}

fn or_default_kind<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(default_kind))
}

impl fmt::Debug for RegistryCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryCredential").field("registry_type", &self.registry_type).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_read_as_written_and_never_shown() {
        let json = r#"{"password":"hunter2","username":"me","registryType":"oci"}"#;
        let credential: RegistryCredential = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&credential).unwrap(), json);
        let shown = format!("{credential:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("me\""), "{shown}");
        assert_eq!(serde_json::from_str::<RegistryCredential>("{}").unwrap().registry_type, "oci");
    }
}
