//! MessagePack as both dialects write it: structures are maps with named fields.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wattle_types::ProviderError;

/// First byte of a payload that says "MessagePack follows", as some 0.x interfaces send it. No MessagePack value
/// starts with it.
const MESSAGEPACK_MARK: u8 = 0xc1;

/// How deep arrays and maps may be nested. Contracts need four levels; the library's own limit of 1024 is more than a
/// thread's stack holds in a debug build.
const DEPTH_MAX: usize = 16;

/// Encodes `value`.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, ProviderError> {
    encode_sized(value, 128)
}

/// Encodes `value` into a buffer that starts with room for `size` bytes.
pub(crate) fn encode_sized<T: Serialize + ?Sized>(value: &T, size: usize) -> Result<Bytes, ProviderError> {
    let mut buffer = Vec::with_capacity(size);
    rmp_serde::encode::write_named(&mut buffer, value)
        .map_err(|error| ProviderError::Failed(format!("the answer cannot be encoded: {error}")))?;
    Ok(buffer.into())
}

/// Decodes a payload, with or without the mark. Maps and arrays are both taken for structures.
pub(crate) fn decode<'de, T: Deserialize<'de>>(payload: &'de [u8]) -> Result<T, ProviderError> {
    let body = match payload {
        [MESSAGEPACK_MARK, rest @ ..] if !rest.is_empty() => rest,
        plain => plain,
    };
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut deserializer).map_err(|error| ProviderError::BadRequest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_skipped_and_alone_is_an_error() {
        assert_eq!(decode::<String>(b"\xa2hi").unwrap(), "hi");
        assert_eq!(decode::<String>(b"\xc1\xa2hi").unwrap(), "hi");
        assert!(matches!(decode::<String>(b"\xc1"), Err(ProviderError::BadRequest(_))));
        assert_eq!(decode::<u8>(b"\x7f").unwrap(), 127);
    }

    #[test]
    fn hostile_bytes_are_an_error() {
        let deep = [0x91; 100_000];
        assert!(decode::<Vec<String>>(&deep).is_err());
        assert!(decode::<serde::de::IgnoredAny>(&deep).is_err());
        assert!(decode::<Vec<String>>(b"\xdd\xff\xff\xff\xff").is_err());
        assert!(decode::<String>(b"\xdb\xff\xff\xff\xff").is_err());
        assert!(decode::<String>(b"\xa2\xff\xfe").is_err());
    }
}
