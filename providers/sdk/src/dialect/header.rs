//! HTTP headers in the two shapes dialects give them, to and from pairs.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Unexpected, Visitor},
    ser::SerializeMap,
};

type Pair = (String, String);

/// Most headers taken from an actor's answer; what a guest sends is bounded before memory is spent on it.
const HEADERS_MAX: usize = 1024;
/// Most bytes of them, a name counted with each of its values: that is how they are kept.
const HEADER_BYTES_MAX: usize = 1 << 20;

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
        let mut read = Read::default();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Values { name, read: &mut read })?;
        }
        Ok(Pairs(read.pairs))
    }
}

/// What was read of an answer's headers so far.
#[derive(Default)]
struct Read {
    pairs: Vec<Pair>,
    bytes: usize,
}

impl Read {
    fn push<E: de::Error>(&mut self, name: &str, value: &str) -> Result<(), E> {
        if self.pairs.len() >= HEADERS_MAX {
            return Err(E::custom(format_args!("more than {HEADERS_MAX} headers")));
        }
        self.bytes = self.bytes.saturating_add(name.len()).saturating_add(value.len());
        if self.bytes > HEADER_BYTES_MAX {
            return Err(E::custom(format_args!("more than {HEADER_BYTES_MAX} bytes of headers")));
        }
        self.pairs.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// Reads what one name has: a value, or a list of them. The first value too many ends the reading.
struct Values<'r> {
    name: String,
    read: &'r mut Read,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header's value or a list of its values")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.read.push(&self.name, value)
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<(), E> {
        let text = str::from_utf8(value).map_err(|_| E::invalid_value(Unexpected::Bytes(value), &self))?;
        self.read.push(&self.name, text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while let Some(value) = values.next_element::<String>()? {
            self.read.push(&self.name, &value)?;
        }
        Ok(())
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
    /// Reads headers that go wrong at the first value too many: what comes after it is not even there.
    fn refusal(start: &[u8]) -> String {
        codec::decode::<Pairs>(start).unwrap_err().to_string()
    }

    #[test]
    fn a_list_of_values_is_left_at_the_first_too_many() {
        // One name, "a", that is said to have 2^32 - 1 values.
        let endless = [b"\x81\xa1a\xdd\xff\xff\xff\xff".as_slice(), &[0xa0; HEADERS_MAX + 1]].concat();
        assert!(refusal(&endless).contains("more than 1024 headers"), "{}", refusal(&endless));
        let long = "n".repeat(HEADER_BYTES_MAX / 2);
        let repeated = pairs(&[(&long, "v"), (&long, "v")]);
        let repeated = codec::encode(&ManyValues(&repeated)).unwrap();
        assert!(refusal(&repeated).contains("bytes of headers"), "{}", refusal(&repeated));
    }

    #[test]
    fn a_value_is_a_text_in_either_of_messagepacks_shapes_and_nothing_else() {
        let one = Pairs(pairs(&[("a", "b")]));
        for value in [b"\xa1b".as_slice(), b"\xc4\x01b", b"\x91\xa1b", b"\x91\xc4\x01b"] {
            assert_eq!(codec::decode::<Pairs>(&[b"\x81\xa1a", value].concat()).unwrap(), one);
        }
        for value in [b"\x01".as_slice(), b"\xc0", b"\x80", b"\x91\x01", b"\x91\x91\xa1b", b"\xc4\x01\xff"] {
            assert!(codec::decode::<Pairs>(&[b"\x81\xa1a", value].concat()).is_err(), "{value:?}");
        }
    }
}
