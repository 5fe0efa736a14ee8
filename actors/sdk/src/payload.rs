//! How handlers' arguments and results become payloads.

use crate::{
    Result,
    msgpack::{Decode, Encode, from_bytes, to_bytes},
};

/// Bytes passed on as they are, in whatever format the two sides agree on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Vec<u8>);

/// What can be read from a payload: everything that implements [`Decode`], [`Raw`] and `()`.
pub trait FromPayload: Sized {
    /// Reads the payload.
    ///
    /// # Errors
    /// When it is not what the type takes.
    fn from_payload(payload: Vec<u8>) -> Result<Self>;
}

/// What can be written as a payload: everything that implements [`Encode`], [`Raw`] and `()`.
pub trait IntoPayload {
    /// Writes the payload.
    fn into_payload(self) -> Vec<u8>;
}

/// What a handler may return: a payload, or a [`Result`] of one.
pub trait Answer {
    /// Returns the payload, or the error for the caller.
    ///
    /// # Errors
    /// The handler's own.
    fn into_answer(self) -> Result<Vec<u8>>;
}

impl<T: Decode> FromPayload for T {
    fn from_payload(payload: Vec<u8>) -> Result<Self> {
        Ok(from_bytes(&payload)?)
    }
}

impl FromPayload for Raw {
    fn from_payload(payload: Vec<u8>) -> Result<Self> {
        Ok(Self(payload))
    }
}

impl FromPayload for () {
    fn from_payload(_: Vec<u8>) -> Result<Self> {
        Ok(())
    }
}

impl<T: Encode> IntoPayload for T {
    fn into_payload(self) -> Vec<u8> {
        to_bytes(&self)
    }
}

impl IntoPayload for Raw {
    fn into_payload(self) -> Vec<u8> {
        self.0
    }
}

impl IntoPayload for () {
    fn into_payload(self) -> Vec<u8> {
        Vec::new()
    }
}

impl<T: IntoPayload> Answer for T {
    fn into_answer(self) -> Result<Vec<u8>> {
        Ok(self.into_payload())
    }
}

impl<T: IntoPayload> Answer for Result<T> {
    fn into_answer(self) -> Result<Vec<u8>> {
        self.map(IntoPayload::into_payload)
    }
}
