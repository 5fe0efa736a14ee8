//! Claims as the lattice shows them: a map of strings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json;

/// The entry `CLAIMS_{key}`. For show only: what a host runs it verified itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The key of the module or provider.
    pub subject: String,
    /// Its fields, as far as they are text.
    pub fields: BTreeMap<String, String>,
}

impl Claims {
    pub(super) fn parse(subject: &str, value: &[u8]) -> Result<Self, String> {
        let fields: BTreeMap<String, Value> = json(value)?;
        let texts = fields.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        });
        Ok(Self { subject: subject.to_owned(), fields: texts.collect() })
    }

    /// Returns a field under its name or the other one it goes by (`issuer` is also `iss`).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let other = match name {
            "issuer" => "iss",
            "revision" => "rev",
            "subject" => "sub",
            name => name,
        };
        self.fields.get(name).or_else(|| self.fields.get(other)).map(String::as_str)
    }
}
