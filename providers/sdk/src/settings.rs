//! Configuration of a provider and of its links.

use std::{collections::BTreeMap, fmt, str::FromStr};

use wattle_types::ProviderError;

/// Names with values, all of them known. Names are compared without case, so that a link made for another
/// generation's provider (`URL`) works here (`url`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Checks `values` against the names a provider knows.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for a name that is not among them or is given twice; the text lists those known.
    pub fn parse(values: &BTreeMap<String, String>, known: &[&str]) -> Result<Self, ProviderError> {
        let mut settings = BTreeMap::new();
        for (name, value) in values {
            let name = name.to_ascii_lowercase();
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(ProviderError::BadConfig(format!("there is no setting {name:?}; known here: {known}")));
            }
            if settings.insert(name.clone(), value.clone()).is_some() {
                return Err(ProviderError::BadConfig(format!("{name:?} is given twice")));
            }
        }
        Ok(Self(settings))
    }

    /// Returns these settings with those of `over` in front of them.
    #[must_use]
    pub fn overlaid(&self, over: Self) -> Self {
        let mut merged = self.0.clone();
        merged.extend(over.0);
        Self(merged)
    }

    /// Returns the value of `name`, if it is given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the value of `name`, or `default` when it is not given.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] when it does not read as a `T`; `what` says what was expected.
    pub fn get_or<T: FromStr>(&self, name: &str, default: T, what: &str) -> Result<T, ProviderError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.trim().parse().map_err(|_| ProviderError::BadConfig(format!("{name} must be {what}")))
    }

    /// Returns the value of `name`.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] when it is not given; `example` shows what it looks like.
    pub fn require(&self, name: &str, example: &str) -> Result<&str, ProviderError> {
        self.get(name)
            .ok_or_else(|| ProviderError::BadConfig(format!("the setting {name:?} is missing, for example {example}")))
    }
}

/// Values may be secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let error = Settings::parse(&values(&[("urll", "x")]), &["url", "prefix"]).unwrap_err();
        assert_eq!(error.to_string(), "configuration: there is no setting \"urll\"; known here: url, prefix");
        assert!(Settings::parse(&values(&[("url", "x"), ("URL", "y")]), &["url"]).is_err());
    }

    #[test]
    fn a_links_values_come_first() {
        let provider = Settings::parse(&values(&[("url", "a"), ("prefix", "p")]), &["url", "prefix"]).unwrap();
        let link = Settings::parse(&values(&[("URL", "b")]), &["url", "prefix"]).unwrap();
        let merged = provider.overlaid(link);
        assert_eq!((merged.get("url"), merged.get("prefix")), (Some("b"), Some("p")));
        assert_eq!(merged.get_or("size", 7, "a number"), Ok(7));
        assert!(merged.get_or::<u32>("url", 7, "a number").unwrap_err().to_string().contains("url must be a number"));
        assert!(merged.require("path", "path=/data/kv").unwrap_err().to_string().contains("path=/data/kv"));
    }

    #[test]
    fn debug_hides_values() {
        let settings = Settings::parse(&values(&[("url", "redis://:secret@x")]), &["url"]).unwrap();
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
