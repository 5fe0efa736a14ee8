//! Signed modules: the token inside a `.wasm` file, and the hash that ties it to the code.

use std::sync::Arc;

use crate::{
    Actor, Claims, ClaimsError, Digest, KeyPair, PublicKey, Token, TrustPolicy, Verified, WASCAP_REVISION,
    claims::Metadata, verify, wasm,
};

/// The section a token is written to.
const TOKEN_SECTION: &str = "wasmcloud_jwt";

/// How firmly the claims are tied to the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashCheck {
    /// The signed hash is the module's.
    Matches,
    /// The token is older than wascap 0.10, its hash is not reproducible, and the policy allowed that.
    UnverifiableLegacy,
}

/// What decides whether a module may start: its token, *unverified*, and the hash of its code.
///
/// Says all that the module's bytes say to [`ModuleSeal::verify`]: whoever knows that these are still the same need not
/// read them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleSeal {
    token: String,
    hash: Digest,
}

impl ModuleSeal {
    /// Reads it from a module.
    ///
    /// # Errors
    /// [`ClaimsError::Missing`], [`ClaimsError::Ambiguous`] or [`ClaimsError::WasmMalformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, ClaimsError> {
        let (tokens, hash) = walk_hashing(bytes)?;
        Ok(Self { token: tokens.only()?.to_owned(), hash })
    }

    /// Puts together again what [`Self::token`] and [`Self::hash`] returned.
    #[must_use]
    pub const fn new(token: String, hash: Digest) -> Self {
        Self { token, hash }
    }

    /// Returns the token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns the hash of the code as it is, its token left out.
    #[must_use]
    pub const fn hash(&self) -> &Digest {
        &self.hash
    }

    /// Checks it: form, key kinds, signature, times, issuer and hash.
    ///
    /// `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The first reason to refuse the module, in that order.
    pub fn verify(&self, now: u64, policy: &TrustPolicy) -> Result<VerifiedModule, ClaimsError> {
        let token = Token::parse(&self.token)?;
        let claims: Verified<Actor> = verify::check_token(&token, now, policy)?;
        let hash_check = match check_hash(&claims.metadata().module_hash, claims.claims().revision, self.hash) {
            Ok(()) => HashCheck::Matches,
            Err(ClaimsError::ModuleHashUnverifiable { .. }) if policy.allows_unverifiable_legacy() => {
                HashCheck::UnverifiableLegacy
            }
            Err(error) => return Err(error),
        };
        Ok(VerifiedModule { claims: Arc::new(claims), hash: self.hash, hash_check })
    }
}

/// The claims of a module, which hold: the only road to an actor that may start. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VerifiedModule {
    claims: Arc<Verified<Actor>>,
    hash: Digest,
    hash_check: HashCheck,
}

impl VerifiedModule {
    /// Returns the hash of the code as it is, its token left out.
    ///
    /// The same code signed anew has the same hash.
    #[must_use]
    pub const fn hash(&self) -> &Digest {
        &self.hash
    }

    /// Returns how firmly the claims are tied to the code.
    #[must_use]
    pub const fn hash_check(&self) -> HashCheck {
        self.hash_check
    }

    /// Returns the claims.
    #[must_use]
    pub fn claims(&self) -> &Verified<Actor> {
        &self.claims
    }

    /// Returns the module's key (`M...`).
    #[must_use]
    pub fn actor_id(&self) -> PublicKey {
        self.claims.subject()
    }

    /// Returns the account that signed (`A...`).
    #[must_use]
    pub fn issuer(&self) -> PublicKey {
        self.claims.issuer()
    }

    /// Returns the name for people.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.claims.metadata().name()
    }

    /// Returns the number that grows with each release.
    #[must_use]
    pub fn revision(&self) -> Option<i32> {
        self.claims.metadata().revision
    }

    /// Returns the version for people.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.claims.metadata().version.as_deref()
    }

    /// Returns the name other actors may call it by.
    #[must_use]
    pub fn call_alias(&self) -> Option<&str> {
        self.claims.metadata().call_alias.as_deref()
    }

    /// Returns the capability contracts it may use.
    #[must_use]
    pub fn capabilities(&self) -> &[String] {
        self.claims.metadata().capabilities.as_deref().unwrap_or_default()
    }
}

/// Checks a signed module: form, key kinds, signature, times, issuer and hash.
///
/// `now` is in seconds since 1970.
///
/// # Errors
/// The first reason to refuse it, in that order.
pub fn verify_module(bytes: &[u8], now: u64, policy: &TrustPolicy) -> Result<VerifiedModule, ClaimsError> {
    ModuleSeal::read(bytes)?.verify(now, policy)
}

/// Returns whether these are the bytes of a component, which can be signed, but is not what Wattle runs: a core module.
#[must_use]
pub fn is_component(bytes: &[u8]) -> bool {
    wasm::is_component(bytes)
}

/// Signs a module or component: hashes it, and embeds the token of `claims` as its last section.
///
/// An older token in it is replaced. Section lengths become minimal, so that every byte is covered by the signature.
///
/// # Errors
/// [`ClaimsError::WasmMalformed`], or what [`Claims::sign`] refuses.
pub fn sign_module(bytes: &[u8], claims: &Claims<Actor>, issuer: &KeyPair) -> Result<Vec<u8>, ClaimsError> {
    let stripped = strip_token(bytes)?;
    let mut claims = claims.clone();
    let metadata = claims.metadata.get_or_insert_default();
    metadata.module_hash = Digest::of(&stripped).to_string();
    let token = claims.sign(issuer)?;
    Ok(append_token(stripped, &token))
}

/// Returns a module's token, *unverified*, from either of the sections used over time.
///
/// # Errors
/// [`ClaimsError::Missing`], [`ClaimsError::Ambiguous`] or [`ClaimsError::WasmMalformed`].
pub fn extract_token(bytes: &[u8]) -> Result<&str, ClaimsError> {
    wasm::walk(bytes, &mut |_| ())?.only()
}

/// Puts a token made elsewhere into a module, in place of any other.
///
/// # Errors
/// [`ClaimsError::WasmMalformed`], or the token's own defects of form.
pub fn embed_token(bytes: &[u8], token: &str) -> Result<Vec<u8>, ClaimsError> {
    Token::parse(token)?;
    Ok(append_token(strip_token(bytes)?, token))
}

/// Returns a module without its tokens, section lengths made minimal: the bytes the module hash is taken of.
///
/// # Errors
/// [`ClaimsError::WasmMalformed`].
pub fn strip_token(bytes: &[u8]) -> Result<Vec<u8>, ClaimsError> {
    let mut stripped = Vec::with_capacity(bytes.len());
    wasm::walk(bytes, &mut |part| stripped.extend_from_slice(part))?;
    Ok(stripped)
}

/// Returns the hash that claims about this module must name, by today's rule.
///
/// # Errors
/// [`ClaimsError::WasmMalformed`].
pub fn module_hash(bytes: &[u8]) -> Result<Digest, ClaimsError> {
    walk_hashing(bytes).map(|(_, hash)| hash)
}

pub(crate) fn walk_hashing(bytes: &[u8]) -> Result<(wasm::Tokens<'_>, Digest), ClaimsError> {
    let mut hasher = crate::digest::Hasher::default();
    let tokens = wasm::walk(bytes, &mut |part| hasher.update(part))?;
    Ok((tokens, hasher.finish()))
}

/// Compares the hash in claims with the module's.
///
/// Old tokens are compared too: before revision 3 other rules were in use, but most of them gave the same hash.
pub(crate) fn check_hash(claimed: &str, revision: Option<u32>, found: Digest) -> Result<(), ClaimsError> {
    if Digest::from_hex(claimed) == Some(found) {
        return Ok(());
    }
    let claimed = claimed.chars().take(64).collect();
    if revision.unwrap_or_default() < WASCAP_REVISION {
        Err(ClaimsError::ModuleHashUnverifiable { claimed, found })
    } else {
        Err(ClaimsError::ModuleHashMismatch { claimed, found })
    }
}

fn append_token(mut module: Vec<u8>, token: &str) -> Vec<u8> {
    wasm::append_custom(&mut module, TOKEN_SECTION, token.as_bytes());
    module
}

#[cfg(test)]
mod tests;
