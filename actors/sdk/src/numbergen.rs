//! The contract `wasmcloud:builtin:numbergen`: random numbers and unique ids. A guest has no randomness of its own.

use crate::{Link, Result};

/// The contract's id, to be claimed when signing.
pub const CONTRACT: &str = "wasmcloud:builtin:numbergen";

const LINK: Link<'static> = Link::new(CONTRACT, "default");

crate::message! {
    struct RangeLimit {
        min: u32 = "min",
        max: u32 = "max",
    }
}

/// Returns a random (version 4) UUID.
///
/// # Errors
/// When the contract is not claimed, in the host's words.
pub fn guid() -> Result<String> {
    LINK.call("NumberGen.GenerateGuid", ())
}

/// Returns a number from `min` up to, but not including, `max`.
///
/// # Errors
/// When the contract is not claimed or the range is empty, in the host's words.
pub fn in_range(min: u32, max: u32) -> Result<u32> {
    LINK.call("NumberGen.RandomInRange", RangeLimit { min, max })
}

/// Returns any 32-bit number.
///
/// # Errors
/// When the contract is not claimed, in the host's words.
pub fn number() -> Result<u32> {
    LINK.call("NumberGen.Random32", ())
}
