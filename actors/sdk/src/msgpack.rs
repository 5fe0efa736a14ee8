//! MessagePack, as far as the contracts need it: structs are maps with the wire's own names, bytes are `bin`.
//!
//! Made by hand because size counts here: a whole reader and writer is a few kilobytes of wasm, and nothing is generic
//! over formats. Readers skip names they do not know; a missing name is an error unless the field is an [`Option`].
//! No input can make a reader recurse without bound or allocate more than a small multiple of the input.

mod decode;
mod encode;
#[cfg(test)]
mod peer_tests;
#[cfg(test)]
mod tests;

pub use decode::{Decode, DecodeError, Reader, from_bytes};
pub use encode::{Encode, Writer, to_bytes};

/// Declares a struct with the names its fields have on the wire, and how to read and write it.
///
/// ```
/// use wattle_actor::msgpack;
///
/// wattle_actor::message! {
///     /// A parcel.
///     pub struct Parcel {
///         /// To whom.
///         pub sent_to: String = "sentTo",
///         /// What it weighs, in grams; left out when it was not weighed.
///         pub weight: Option<u32> = "weight",
///     }
/// }
///
/// let parcel = Parcel { sent_to: "Ann".into(), weight: None };
/// let bytes = msgpack::to_bytes(&parcel);
/// assert_eq!(bytes, b"\x81\xa6sentTo\xa3Ann");
/// assert_eq!(msgpack::from_bytes::<Parcel>(&bytes).unwrap(), parcel);
/// ```
#[macro_export]
macro_rules! message {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty = $key:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $visibility struct $name {
            $($(#[$field_meta])* $field_visibility $field: $type,)+
        }

        impl $crate::msgpack::Encode for $name {
            fn encode(&self, output: &mut $crate::msgpack::Writer) {
                output.map(0 $(+ usize::from($crate::msgpack::Encode::is_present(&self.$field)))+);
                $(output.field($key, &self.$field);)+
            }
        }

        impl $crate::msgpack::Decode for $name {
            fn decode(
                input: &mut $crate::msgpack::Reader<'_>,
            ) -> ::std::result::Result<Self, $crate::msgpack::DecodeError> {
                $(let mut $field: Option<$type> = None;)+
                for _ in 0..input.map()? {
                    match input.text()? {
                        $($key => $field = Some($crate::msgpack::Decode::decode(input)?),)+
                        _ => input.skip()?,
                    }
                }
                Ok(Self { $($field: $crate::msgpack::Decode::or_missing($field, $key)?,)+ })
            }
        }
    };
}
