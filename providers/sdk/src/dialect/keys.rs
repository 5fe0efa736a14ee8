//! The keys of a call on several sets: few, and each once.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// Most keys of one call, repeated ones included: each costs a look at a whole set.
const KEYS_MAX: usize = 1024;

/// Distinct keys, in the order of first occurrence.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Keys(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
        let mut seen = HashSet::new();
        let mut keys = Vec::new();
        let mut count = 0;
        while let Some(key) = list.next_element::<String>()? {
            count += 1;
            if count > KEYS_MAX {
                return Err(A::Error::custom(format_args!("more than {KEYS_MAX} keys")));
            }
            if seen.insert(key.clone()) {
                keys.push(key);
            }
        }
        Ok(Keys(keys))
    }
}

#[cfg(test)]
mod tests {
    use wattle_types::ProviderError;

    use super::*;
    use crate::codec;

    #[test]
    fn each_key_is_kept_once_and_the_first_too_many_ends_the_reading() {
        let keys = codec::encode(&["b", "a", "b"]).unwrap();
        assert_eq!(codec::decode::<Keys>(&keys).unwrap(), Keys(vec!["b".into(), "a".into()]));
        let most = codec::encode(&vec!["k"; KEYS_MAX]).unwrap();
        assert_eq!(codec::decode::<Keys>(&most).unwrap(), Keys(vec!["k".into()]));
        // A list that is said to have 2^32 - 1 keys.
        let endless = [b"\xdd\xff\xff\xff\xff".as_slice(), &[0xa0; KEYS_MAX + 1]].concat();
        let refused = codec::decode::<Keys>(&endless).unwrap_err();
        assert!(matches!(&refused, ProviderError::BadRequest(why) if why.contains("1024 keys")), "{refused}");
    }
}
