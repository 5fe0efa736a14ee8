//! The name of a configuration.

use std::{fmt, str::FromStr};

/// A name under which a configuration can be kept; it stands at the end of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigName(String);

impl FromStr for ConfigName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_=.".contains(&byte));
        let is_whole = text.split('.').all(|token| !token.is_empty());
        if is_good && is_whole {
            return Ok(Self(text.to_owned()));
        }
        Err("a name has letters, digits and - / _ = ., with no dot at either end".into())
    }
}

impl fmt::Display for ConfigName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ConfigName> for String {
    fn from(name: ConfigName) -> Self {
        name.0
    }
}

impl ConfigName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
