//! Reading what a peer sent, never past its end.

use bytes::{Buf, Bytes};

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be read")]
pub(super) struct Malformed;

/// What is left to be read. Numbers are big-endian.
#[derive(Debug)]
pub(super) struct Reader(Bytes);

impl Reader {
    pub(super) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| Malformed)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Malformed)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed)
    }

    pub(super) fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Malformed> {
        let mut bytes = [0; LEN];
        self.0.try_copy_to_slice(&mut bytes).map_err(|_| Malformed)?;
        Ok(bytes)
    }

    /// Reads a text of `len` bytes and makes something of it.
    pub(super) fn text<T>(&mut self, len: usize, make: impl FnOnce(&str) -> Option<T>) -> Result<T, Malformed> {
        let text = self.0.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let made = text.and_then(make).ok_or(Malformed)?;
        self.0.advance(len);
        Ok(made)
    }

    /// Reads a text after its length in one byte.
    pub(super) fn text8<T>(&mut self, make: impl FnOnce(&str) -> Option<T>) -> Result<T, Malformed> {
        let len = self.u8()?.into();
        self.text(len, make)
    }

    /// Returns all that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// Checks that nothing is left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Returns the beginning of `text`, at most `max` bytes of it.
pub(super) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
