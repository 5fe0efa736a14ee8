//! nkeys: Ed25519 keys written as text that names their kind.
//!
//! Owns the text encoding of public keys and seeds, and signing with a key pair. Knows nothing of claims.
//!
//! Text form (NATS nkeys): `prefix bytes + 32 key bytes + CRC-16/XMODEM, little endian`, in unpadded upper-case
//! base32 (RFC 4648). A public key has one prefix byte and 56 characters; a seed two, and 58 characters.

use std::{fmt, str::FromStr};

use crc::{CRC_16_XMODEM, Crc, Table};
use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of a public key's text, in characters.
pub const PUBLIC_KEY_LEN: usize = 56;
/// Length of a seed's text, in characters.
pub const SEED_LEN: usize = 58;

const SEED_PREFIX: u8 = 18 << 3;
/// What a seed's text stands for, in bytes: two of prefix, the key, the checksum.
const RAW_LEN_MAX: usize = 2 + 32 + 2;
/// The checksum of a key's text. Its tables are for sixteen bytes at once.
static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// The kinds of key, each told by the first letter of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// `A`: issues modules and providers.
    Account,
    /// `C`: signs invocations between hosts.
    Cluster,
    /// `M`: an actor module's identity.
    Module,
    /// `N`: a host's (NATS: server's) identity.
    Host,
    /// `O`: issues accounts.
    Operator,
    /// `U`: a NATS user.
    User,
    /// `V`: a capability provider's (NATS: service's) identity.
    Provider,
    /// `X`: a Curve25519 key, for sealing only.
    Curve,
}

impl KeyKind {
    /// All kinds, in the order of their letters.
    pub const ALL: [Self; 8] = [
        Self::Account,
        Self::Cluster,
        Self::Module,
        Self::Host,
        Self::Operator,
        Self::User,
        Self::Provider,
        Self::Curve,
    ];

    /// Returns the first letter of this kind's public keys.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Account => 'A',
            Self::Cluster => 'C',
            Self::Module => 'M',
            Self::Host => 'N',
            Self::Operator => 'O',
            Self::User => 'U',
            Self::Provider => 'V',
            Self::Curve => 'X',
        }
    }

    const fn prefix(self) -> u8 {
        match self {
            Self::Account => 0,
            Self::Cluster => 2 << 3,
            Self::Module => 12 << 3,
            Self::Host => 13 << 3,
            Self::Operator => 14 << 3,
            Self::User => 20 << 3,
            Self::Provider => 21 << 3,
            Self::Curve => 23 << 3,
        }
    }

    fn from_prefix(prefix: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Cluster => "cluster",
            Self::Module => "module",
            Self::Host => "host",
            Self::Operator => "operator",
            Self::User => "user",
            Self::Provider => "provider",
            Self::Curve => "curve",
        })
    }
}

/// Why a text is not a key, or a key cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has the wrong length.
    #[error("a key has {expected} characters, this text has {found}")]
    Length {
        /// Characters such a text has.
        expected: usize,
        /// Characters this one has.
        found: usize,
    },
    /// The text is not upper-case base32.
    #[error("a key is written in the letters A-Z and digits 2-7 only")]
    Alphabet,
    /// The checksum at the end does not fit: a character was mistyped.
    #[error("the key's checksum does not match: was it copied whole?")]
    Checksum,
    /// The prefix names no kind of key.
    #[error("the first letters name no kind of key")]
    Prefix,
    /// A public key was found where a seed was needed, or the other way round.
    #[error("a seed (private) and a public key were mixed up")]
    NotASeed,
    /// The key is of another kind than the place needs.
    #[error("expected a key of kind {expected} ({letter}...), found one of kind {found}", letter = .expected.letter())]
    Kind {
        /// The kind needed.
        expected: KeyKind,
        /// The kind found.
        found: KeyKind,
    },
    /// The 32 bytes are not a point on the curve, or the key's kind cannot verify or sign.
    #[error("the key cannot verify signatures")]
    NotAVerifyingKey,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

impl KeyError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "key_invalid"
    }
}

/// A public key with its kind.
///
/// Holds 32 bytes of any value: whether they are a point on the curve is found out by [`PublicKey::verify`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey {
    kind: KeyKind,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Makes a key of `kind` from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(kind: KeyKind, bytes: [u8; 32]) -> Self {
        Self { kind, bytes }
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the 32 key bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Returns this key if it is of `kind`.
    ///
    /// # Errors
    /// [`KeyError::Kind`] if it is of another one.
    pub const fn expect_kind(self, kind: KeyKind) -> Result<Self, KeyError> {
        if self.kind as u8 == kind as u8 { Ok(self) } else { Err(KeyError::Kind { expected: kind, found: self.kind }) }
    }

    /// Checks an Ed25519 signature (RFC 8032, strict: no small-order keys, canonical encodings only).
    ///
    /// Returns `Ok(false)` when the signature is not this key's over `message`.
    ///
    /// # Errors
    /// [`KeyError::NotAVerifyingKey`] if the key is a curve key or not a point.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<bool, KeyError> {
        if self.kind == KeyKind::Curve {
            return Err(KeyError::NotAVerifyingKey);
        }
        let key = VerifyingKey::from_bytes(&self.bytes).map_err(|_| KeyError::NotAVerifyingKey)?;
        Ok(key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&[self.kind.prefix()], &self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() == SEED_LEN && text.starts_with('S') {
            return Err(KeyError::NotASeed);
        }
        let (prefix, bytes) = decode::<1>(text, PUBLIC_KEY_LEN)?;
        let kind = KeyKind::from_prefix(prefix[0]).ok_or(KeyError::Prefix)?;
        Ok(Self { kind, bytes })
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A private key with its public half. Its memory is zeroed on drop; it is never shown by `Debug`.
pub struct KeyPair {
    kind: KeyKind,
    signing: SigningKey,
}

impl KeyPair {
    /// Makes a new key of `kind` from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`] if there is none; [`KeyError::NotAVerifyingKey`] for curve keys, which cannot sign.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
        Self::from_seed_bytes(kind, seed)
    }

    /// Makes the key of `kind` that belongs to 32 secret bytes.
    ///
    /// # Errors
    /// [`KeyError::NotAVerifyingKey`] for curve keys, which cannot sign.
    pub fn from_seed_bytes(kind: KeyKind, seed: [u8; 32]) -> Result<Self, KeyError> {
        if kind == KeyKind::Curve {
            return Err(KeyError::NotAVerifyingKey);
        }
        Ok(Self { kind, signing: SigningKey::from_bytes(&seed) })
    }

    /// Reads a seed's text (`SA...`, `SM...`, 58 characters). White space around it is ignored.
    ///
    /// # Errors
    /// A [`KeyError`] that says what is wrong with the text; the text itself is never repeated.
    pub fn from_seed(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.len() == PUBLIC_KEY_LEN {
            return Err(KeyError::NotASeed);
        }
        let ([first, second], seed) = decode::<2>(text, SEED_LEN)?;
        if first & 0xf8 != SEED_PREFIX {
            return Err(KeyError::NotASeed);
        }
        let kind = KeyKind::from_prefix(((first & 7) << 5) | (second >> 3)).ok_or(KeyError::Prefix)?;
        Self::from_seed_bytes(kind, seed)
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey { kind: self.kind, bytes: self.signing.verifying_key().to_bytes() }
    }

    /// Returns the seed's text: whoever holds it *is* this key.
    #[must_use]
    pub fn seed(&self) -> String {
        let prefix = self.kind.prefix();
        encode(&[SEED_PREFIX | (prefix >> 5), (prefix & 0x1f) << 3], self.signing.as_bytes())
    }

    /// Signs `message` (Ed25519, RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public_key())
    }
}

fn encode(prefix: &[u8], key: &[u8; 32]) -> String {
    let mut raw = Vec::with_capacity(prefix.len() + 34);
    raw.extend_from_slice(prefix);
    raw.extend_from_slice(key);
    let crc = CRC.checksum(&raw);
    raw.extend_from_slice(&crc.to_le_bytes());
    BASE32_NOPAD.encode(&raw)
}

/// Allocates nothing: calls name actors by their ids.
fn decode<const PREFIX: usize>(text: &str, expected: usize) -> Result<([u8; PREFIX], [u8; 32]), KeyError> {
    if text.len() != expected {
        return Err(KeyError::Length { expected, found: text.chars().count() });
    }
    let mut raw = [0; RAW_LEN_MAX];
    let len = BASE32_NOPAD.decode_len(text.len()).map_err(|_| KeyError::Alphabet)?;
    let raw = raw.get_mut(..len).ok_or(KeyError::Alphabet)?;
    BASE32_NOPAD.decode_mut(text.as_bytes(), raw).map_err(|_| KeyError::Alphabet)?;
    let (body, crc) = raw.split_last_chunk::<2>().ok_or(KeyError::Alphabet)?;
    if CRC.checksum(body) != u16::from_le_bytes(*crc) {
        return Err(KeyError::Checksum);
    }
    let (prefix, key) = body.split_first_chunk::<PREFIX>().ok_or(KeyError::Alphabet)?;
    let key = <[u8; 32]>::try_from(key).map_err(|_| KeyError::Alphabet)?;
    Ok((*prefix, key))
}

#[cfg(test)]
mod tests;
