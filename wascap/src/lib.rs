//! Keys, claims and verified modules of the wascap and nkeys formats.
//!
//! Synchronous and free of I/O: bytes and the current time come in, answers go out.
//!
//! ```
//! use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module, verify_module};
//!
//! let account = KeyPair::generate(KeyKind::Account)?;
//! let module = KeyPair::generate(KeyKind::Module)?;
//! let now = 1_790_000_000; // seconds since 1970
//!
//! let actor = Actor::new("Counter").capability("wasmcloud:keyvalue").revision(1).version("0.1.0");
//! let claims = Claims::new(actor, module.public_key(), now).expires_at(now + 3600);
//! let signed = sign_module(b"\0asm\x01\0\0\0", &claims, &account)?;
//!
//! let policy = TrustPolicy::new().trust_account(account.public_key())?;
//! let verified = verify_module(&signed, now, &policy)?;
//! assert_eq!(verified.actor_id(), module.public_key());
//! assert_eq!(verified.capabilities(), ["wasmcloud:keyvalue"]);
//! # Ok::<(), wattle_wascap::ClaimsError>(())
//! ```

mod archive;
mod claims;
mod digest;
mod error;
mod inspect;
mod invocation;
mod keys;
mod module;
mod token;
mod trust;
mod verify;
mod wasm;

pub use archive::{
    Archive, Compression, MAX_ARCHIVE_LEN, VerifiedArchive, current_target, sign_archive, verify_archive,
};
pub use claims::{
    Account, Actor, Claims, ClaimsKind, Cluster, Host, Identity, Invocation, Metadata, Operator, Provider,
    WASCAP_REVISION,
};
pub use digest::Digest;
pub use error::{ClaimsError, Distrust};
pub use inspect::{Container, Inspection, inspect};
pub use invocation::{InvocationFacts, VerifiedInvocation, sign_invocation, verify_invocation};
pub use keys::{KeyError, KeyKind, KeyPair, PUBLIC_KEY_LEN, PublicKey, SEED_LEN};
pub use module::{
    HashCheck, ModuleSeal, VerifiedModule, embed_token, extract_token, is_component, module_hash, sign_module,
    strip_token, verify_module,
};
pub use token::{MAX_TOKEN_LEN, Token};
pub use trust::TrustPolicy;
pub use verify::{Verified, verify_token};
