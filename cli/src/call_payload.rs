//! Payloads of calls: JSON for people, MessagePack for actors.
//!
//! What JSON lacks is written as an object with one key: `{"$bytes": "BASE64"}` or `{"$text": "..."}` for bytes.

use std::fmt;

use data_encoding::BASE64;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value};

use crate::error::CliError;

/// Key of an object that stands for bytes, in base64.
const BYTES: &str = "$bytes";
/// Key of an object that stands for bytes which are UTF-8.
const TEXT: &str = "$text";

/// Deepest nesting of an answer that is shown as JSON: as deep as JSON is read.
const DEPTH_MAX: usize = 128;

/// Turns JSON text into MessagePack with named fields.
pub(crate) fn encode(json: &str) -> Result<Vec<u8>, CliError> {
    let value: Value = serde_json::from_str(json).map_err(|error| {
        CliError::usage(format!("the payload is not JSON: {error}"))
            .hint(r#"quote it for the shell, for example '{"key": "value"}'; a plain text is '"text"'"#)
            .hint("to send bytes as they are, use --raw TEXT or --file FILE")
    })?;
    rmp_serde::to_vec_named(&Packed(&value)).map_err(|error| CliError::usage(format!("the payload: {error}")))
}

/// Turns what an actor answered into JSON; bytes that are not MessagePack become one of the objects for bytes.
pub(crate) fn decode(bytes: &[u8]) -> Value {
    let mut reader = bytes;
    let mut deserializer = rmp_serde::Deserializer::new(&mut reader);
    deserializer.set_max_depth(DEPTH_MAX);
    let decoded = Unpacked::deserialize(&mut deserializer);
    match decoded {
        Ok(Unpacked(value)) if reader.is_empty() => value,
        _ => shown(bytes),
    }
}

fn shown(bytes: &[u8]) -> Value {
    let (key, text) = match std::str::from_utf8(bytes) {
        Ok(text) => (TEXT, text.to_owned()),
        Err(_) => (BYTES, BASE64.encode(bytes)),
    };
    Value::Object(Map::from_iter([(key.to_owned(), Value::String(text))]))
}

/// The bytes an object stands for, if it does.
fn hidden_bytes(map: &Map<String, Value>) -> Option<Result<Vec<u8>, String>> {
    let mut entries = map.iter();
    let (Some((key, Value::String(text))), None) = (entries.next(), entries.next()) else { return None };
    match key.as_str() {
        TEXT => Some(Ok(text.clone().into_bytes())),
        BYTES => Some(BASE64.decode(text.as_bytes()).map_err(|error| format!("{BYTES} is not base64: {error}"))),
        _ => None,
    }
}

/// JSON, serialized with its stand-ins for bytes.
struct Packed<'a>(&'a Value);

impl Serialize for Packed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(&Packed(item))?;
                }
                sequence.end()
            }
            Value::Object(map) => match hidden_bytes(map) {
                Some(bytes) => serializer.serialize_bytes(&bytes.map_err(serde::ser::Error::custom)?),
                None => {
                    let mut fields = serializer.serialize_map(Some(map.len()))?;
                    for (name, value) in map {
                        fields.serialize_entry(name, &Packed(value))?;
                    }
                    fields.end()
                }
            },
            plain => plain.serialize(serializer),
        }
    }
}

/// JSON, deserialized from anything that describes itself.
struct Unpacked(Value);

impl<'de> Deserialize<'de> for Unpacked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnpackedVisitor).map(Self)
    }
}

struct UnpackedVisitor;

impl<'de> Visitor<'de> for UnpackedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(shown(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unpacked(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((Unpacked(name), Unpacked(value))) = entries.next_entry()? {
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(json: &str, packed: &[u8]) {
        let encoded = encode(json).unwrap();
        assert_eq!(encoded, packed, "{json}");
        assert_eq!(decode(&encoded), serde_json::from_str::<Value>(json).unwrap());
    }

    #[test]
    fn json_and_message_pack_say_the_same() {
        check("{}", &[0x80]);
        check(r#"{"key":"a","value":-3}"#, b"\x82\xa3key\xa1a\xa5value\xfd");
        check("[1,true,null]", &[0x93, 1, 0xc3, 0xc0]);
        check(r#"{"body":{"$bytes":"/w=="}}"#, b"\x81\xa4body\xc4\x01\xff");
        check(r#"{"body":{"$text":"hi"}}"#, b"\x81\xa4body\xc4\x02hi");
    }

    #[test]
    fn what_is_not_message_pack_is_shown_as_it_is() {
        assert_eq!(decode(b"hello"), json!({ "$text": "hello" }));
        assert_eq!(decode(&[0xff, 0xfe, 0xc1]), json!({ "$bytes": "//7B" }));
        assert_eq!(decode(b""), json!({ "$text": "" }));
        // Nested deeper than any answer is: refused by the decoder, shown as bytes.
        assert!(decode(&[0x91; 100_000])[BYTES].is_string());
    }

    #[test]
    fn bad_json_tells_how_to_write_it() {
        let error = encode("{key: 1}").unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        assert!(error.message.contains("line 1 column 2"), "{error}");
        assert!(encode(r#"{"$bytes":"???"}"#).unwrap_err().message.contains("base64"));
    }
}
