//! HTTP headers in the two shapes dialects give them, to and from pairs.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};

type Pair = (String, String);

/// Most headers taken from an actor's answer; what a guest sends is bounded before memory is spent on it.
const HEADERS_MAX: usize = 1024;

/// Writes `{name: [value, ...]}`: one entry for a name, spelled as at its first occurrence.
pub(super) struct ManyValues<'a>(pub(super) &'a [Pair]);

/// Writes `{name: value}`: several values of a name are joined by ", ", cookies by "; ", as HTTP allows.
pub(super) struct OneValue<'a>(pub(super) &'a [Pair]);

/// Reads either shape.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pairs(pub(super) Vec<Pair>);

/// Groups values by name, in the order of first occurrence. Headers are few: a scan is cheaper than a table.
fn grouped(pairs: &[Pair]) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        match groups.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups
}

impl Serialize for ManyValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = grouped(self.0);
        let mut map = serializer.serialize_map(Some(groups.len()))?;
        for (name, values) in &groups {
            map.serialize_entry(name, values)?;
        }
        map.end()
    }
}

impl Serialize for OneValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = grouped(self.0);
        let mut map = serializer.serialize_map(Some(groups.len()))?;
        for (name, values) in &groups {
            let separator = if name.eq_ignore_ascii_case("cookie") { "; " } else { ", " };
            match values.as_slice() {
                [value] => map.serialize_entry(name, value)?,
                several => map.serialize_entry(name, &several.join(separator))?,
            }
        }
        map.end()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of header names to values")
    }

    fn visit_unit<E>(self) -> Result<Pairs, E> {
        Ok(Pairs::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, values)) = map.next_entry::<String, Values>()? {
            match values {
                Values::One(value) => pairs.push((name, value)),
                Values::Many(values) => pairs.extend(values.into_iter().map(|value| (name.clone(), value))),
            }
            if pairs.len() > HEADERS_MAX {
                return Err(serde::de::Error::custom(format!("more than {HEADERS_MAX} headers")));
            }
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn values_of_one_name_stay_together() {
        let headers = pairs(&[("Accept", "a"), ("cookie", "x=1"), ("accept", "b"), ("cookie", "y=2")]);
        let many = codec::encode(&ManyValues(&headers)).unwrap();
        let expected = pairs(&[("Accept", "a"), ("Accept", "b"), ("cookie", "x=1"), ("cookie", "y=2")]);
        assert_eq!(codec::decode::<Pairs>(&many).unwrap(), Pairs(expected));
        let one = codec::encode(&OneValue(&headers)).unwrap();
        let expected = pairs(&[("Accept", "a, b"), ("cookie", "x=1; y=2")]);
        assert_eq!(codec::decode::<Pairs>(&one).unwrap(), Pairs(expected));
    }

    #[test]
    fn nothing_and_nil_are_no_headers_and_too_many_are_refused() {
        assert_eq!(codec::decode::<Pairs>(b"\xc0").unwrap(), Pairs::default());
        assert_eq!(codec::decode::<Pairs>(b"\x80").unwrap(), Pairs::default());
        let flood: Vec<Pair> = (0..=HEADERS_MAX).map(|n| (format!("h{n}"), String::new())).collect();
        assert!(codec::decode::<Pairs>(&codec::encode(&OneValue(&flood)).unwrap()).is_err());
        let wide = pairs(&vec![("h", "v"); HEADERS_MAX + 1]);
        assert!(codec::decode::<Pairs>(&codec::encode(&ManyValues(&wide)).unwrap()).is_err());
    }
}
