//! The two keys of a session: one for each direction.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::wire::Malformed;

/// Bytes of the code that ends each message: 128 bits of HMAC-SHA-256.
pub(super) const TAG_LEN: usize = 16;

const INFO: &[u8] = b"wattle rpc 1";

/// One direction's key, with its schedule computed.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

/// The keys of one session.
#[derive(Debug)]
pub(super) struct Keys {
    /// Of who opened the session.
    pub(super) request: Key,
    /// Of who answers.
    pub(super) reply: Key,
}

impl Keys {
    /// Derives the keys from what both agreed on and from all that was said.
    pub(super) fn derive(shared: &[u8; 32], transcript: &[u8; 32]) -> Option<Self> {
        let mut material = [0; 64];
        Hkdf::<Sha256>::new(Some(transcript), shared).expand(INFO, &mut material).ok()?;
        let (request, reply) = material.split_at(32);
        Some(Self { request: Key::new(request)?, reply: Key::new(reply)? })
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// Ends a message with its code.
    pub(super) fn seal(&self, mut frame: BytesMut) -> Bytes {
        let mut mac = self.0.clone();
        mac.update(&frame);
        let tag = mac.finalize().into_bytes();
        frame.put_slice(tag.get(..TAG_LEN).unwrap_or_default());
        frame.freeze()
    }

    /// Returns the message without its code, if that is right.
    pub(super) fn open(&self, frame: &Bytes) -> Result<Bytes, Malformed> {
        let len = frame.len().checked_sub(TAG_LEN).ok_or(Malformed)?;
        let mut opened = frame.clone();
        let tag = opened.split_off(len);
        let mut mac = self.0.clone();
        mac.update(&opened);
        mac.verify_truncated_left(&tag).map_err(|_| Malformed)?;
        Ok(opened)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}
