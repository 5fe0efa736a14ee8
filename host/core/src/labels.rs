//! What a host says of itself, by which work finds the hosts it may run on.

use std::collections::BTreeMap;

// Labels travel with heartbeats: what one takes, the other has to take.
use wattle_lattice::beat::{LABEL_KEY_LEN_MAX as KEY_LEN_MAX, LABEL_VALUE_LEN_MAX as VALUE_LEN_MAX, LABELS_MAX};

/// Begins the names of the labels that tell what the machine is; nobody puts them.
const OWN: &str = "hostcore.";

/// Why a label was not put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The name belongs to the host.
    #[error("labels below {OWN:?} tell what the machine is and cannot be put")]
    Reserved,
    /// The name or value cannot be kept.
    #[error(
        "a label's name has 1 to {KEY_LEN_MAX} bytes, its value at most {VALUE_LEN_MAX}, and neither has control \
         characters"
    )]
    Invalid,
    /// There are too many.
    #[error("a host keeps at most {LABELS_MAX} labels")]
    TooMany,
}

impl LabelError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Reserved | Self::Invalid => "label_invalid",
            Self::TooMany => "label_limit",
        }
    }
}

/// The labels of one host.
#[derive(Debug, Clone)]
pub(crate) struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Begins with what the machine is, and what is configured: by the same rules as what is put later.
    ///
    /// # Errors
    /// The name of a label that is refused, and why.
    pub(crate) fn new(configured: &BTreeMap<String, String>) -> Result<Self, (String, LabelError)> {
        let own = [
            ("hostcore.arch".to_owned(), std::env::consts::ARCH.to_owned()),
            ("hostcore.os".to_owned(), std::env::consts::OS.to_owned()),
            ("hostcore.osfamily".to_owned(), std::env::consts::FAMILY.to_owned()),
        ];
        let mut labels = Self(own.into());
        for (key, value) in configured {
            labels.put(key, value).map_err(|error| (key.chars().take(80).collect(), error))?;
        }
        Ok(labels)
    }

    pub(crate) const fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Sets a label, or changes it.
    pub(crate) fn put(&mut self, key: &str, value: &str) -> Result<(), LabelError> {
        let key = key.trim();
        if key.to_ascii_lowercase().starts_with(OWN) {
            return Err(LabelError::Reserved);
        }
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let fits = (1..=KEY_LEN_MAX).contains(&key.len()) && value.len() <= VALUE_LEN_MAX;
        if !fits || !is_plain(key) || !is_plain(value) {
            return Err(LabelError::Invalid);
        }
        if self.0.len() >= LABELS_MAX && !self.0.contains_key(key) {
            return Err(LabelError::TooMany);
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Takes a label away and returns whether there was one.
    pub(crate) fn delete(&mut self, key: &str) -> bool {
        self.0.remove(key.trim()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_labels_are_there_and_stay() {
        let spoofed = BTreeMap::from([("hostcore.arch".to_owned(), "pdp11".to_owned())]);
        assert_eq!(Labels::new(&spoofed).unwrap_err(), ("hostcore.arch".into(), LabelError::Reserved));
        let mut labels = Labels::new(&BTreeMap::new()).unwrap();
        assert_eq!(labels.all()["hostcore.arch"], std::env::consts::ARCH);
        assert_eq!(labels.put("HostCore.os", "vms"), Err(LabelError::Reserved));
        assert_eq!(labels.put(" hostcore.zone", "a"), Err(LabelError::Reserved));
        assert_eq!(labels.all().len(), 3);
    }

    #[test]
    fn labels_are_put_changed_and_deleted_once() {
        let mut labels = Labels::new(&BTreeMap::from([("zone".to_owned(), "0".to_owned())])).unwrap();
        labels.put("zone", "a").unwrap();
        labels.put("zone", "b").unwrap();
        assert_eq!(labels.all()["zone"], "b");
        assert!(labels.delete("zone") && !labels.delete("zone"));
    }

    #[test]
    fn labels_are_bounded() {
        let mut labels = Labels::new(&BTreeMap::new()).unwrap();
        for (key, value) in [("", "a"), ("  ", "a"), (&*"k".repeat(300), "a"), ("k", &*"v".repeat(2000)), ("a\nb", "c")]
        {
            assert_eq!(labels.put(key, value), Err(LabelError::Invalid), "{key:?}");
            let configured = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(Labels::new(&configured).unwrap_err().1, LabelError::Invalid, "{key:?}");
        }
        for number in labels.all().len()..LABELS_MAX {
            labels.put(&format!("key{number}"), "").unwrap();
        }
        assert_eq!(labels.put("one more", ""), Err(LabelError::TooMany));
        assert_eq!(labels.put("key9", "changed"), Ok(()));
    }
}
