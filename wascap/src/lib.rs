//! Keys, claims and verified modules of the wascap and nkeys formats.
//!
//! Synchronous and free of I/O: bytes and the current time come in, answers go out.

mod keys;

pub use keys::{KeyError, KeyKind, KeyPair, PUBLIC_KEY_LEN, PublicKey, SEED_LEN};
