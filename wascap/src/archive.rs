//! Provider archives (`.par`, `.par.gz`): one provider's binaries for several platforms, with its claims.
//!
//! A tar of `claims.jwt`, one `{target}.bin` for each platform and perhaps `world.wasm`. It is read in memory: names
//! in it are compared, never used as paths. Other entries are passed over.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Claims, ClaimsError, Digest, KeyPair, Provider, PublicKey, Token, TrustPolicy, Verified, verify};

mod read;
mod write;

pub use read::MAX_ARCHIVE_LEN;
pub(crate) use read::{is_archive, read};

/// Name of the token in the archive.
const TOKEN: &str = "claims.jwt";
/// Name of the WIT world in the archive and among the signed hashes.
const WORLD: &str = "world.wasm";

/// Whether an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar (`.par`).
    None,
    /// With gzip (`.par.gz`).
    Gzip,
}

/// What an archive holds besides the claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    /// The program for each platform, such as `x86_64-linux`.
    pub binaries: BTreeMap<String, Arc<[u8]>>,
    /// The provider's WIT world, encoded as a component.
    pub world: Option<Arc<[u8]>>,
}

impl Archive {
    fn files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        let binaries = self.binaries.iter().map(|(target, bytes)| (target.as_str(), bytes));
        binaries.chain(self.world.iter().map(|bytes| (WORLD, bytes)))
    }

    /// Lists the files that are not the ones signed.
    pub(crate) fn check_hashes(&self, signed: &Provider) -> Vec<ClaimsError> {
        let holds = |name, bytes: &[u8]| {
            let claimed = signed.target_hashes.get(name).and_then(|hash| Digest::from_hex(hash));
            claimed == Some(Digest::of(bytes))
        };
        let wrong = self.files().filter(|(name, bytes)| !holds(*name, bytes));
        wrong.map(|(name, _)| ClaimsError::TargetHashMismatch { target: name.to_owned() }).collect()
    }
}

/// A provider archive whose claims hold for each file in it.
#[derive(Debug, Clone)]
pub struct VerifiedArchive {
    claims: Verified<Provider>,
    archive: Archive,
}

impl VerifiedArchive {
    /// Returns the claims.
    #[must_use]
    pub const fn claims(&self) -> &Verified<Provider> {
        &self.claims
    }

    /// Returns the provider's key (`V...`).
    #[must_use]
    pub const fn provider_id(&self) -> PublicKey {
        self.claims.subject()
    }

    /// Returns the account that signed (`A...`).
    #[must_use]
    pub const fn issuer(&self) -> PublicKey {
        self.claims.issuer()
    }

    /// Returns the program for a platform such as `x86_64-linux`.
    ///
    /// # Errors
    /// [`ClaimsError::TargetMissing`] if the archive has none.
    pub fn binary(&self, target: &str) -> Result<&Arc<[u8]>, ClaimsError> {
        let missing = || ClaimsError::TargetMissing { target: target.chars().take(64).collect() };
        self.archive.binaries.get(target).ok_or_else(missing)
    }

    /// Returns the platforms it has programs for.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.archive.binaries.keys().map(String::as_str)
    }

    /// Returns the WIT world, if there is one.
    #[must_use]
    pub const fn world(&self) -> Option<&Arc<[u8]>> {
        self.archive.world.as_ref()
    }
}

/// Returns this machine's platform as archives spell it.
#[must_use]
pub fn current_target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Checks a provider archive: form, key kinds, signature, times, issuer, and the hash of every file.
///
/// `now` is in seconds since 1970. Memory use is bounded by [`MAX_ARCHIVE_LEN`].
///
/// # Errors
/// The first reason to refuse it, in that order.
pub fn verify_archive(bytes: &[u8], now: u64, policy: &TrustPolicy) -> Result<VerifiedArchive, ClaimsError> {
    let (archive, token) = read(bytes)?;
    let claims: Verified<Provider> = verify::check_token(&Token::parse(&token)?, now, policy)?;
    match archive.check_hashes(claims.metadata()).into_iter().next() {
        Some(error) => Err(error),
        None => Ok(VerifiedArchive { claims, archive }),
    }
}

/// Hashes the files of `archive`, signs `claims` over them, and packs all of it. Equal input gives an equal tar.
///
/// # Errors
/// [`ClaimsError::ArchiveMalformed`] without a binary or for a target that makes no file name;
/// [`ClaimsError::ArchiveTooLarge`] for what could not be read again; what [`Claims::sign`] refuses.
pub fn sign_archive(
    archive: &Archive,
    claims: &Claims<Provider>,
    issuer: &KeyPair,
    compression: Compression,
) -> Result<Vec<u8>, ClaimsError> {
    let mut claims = claims.clone();
    let hashes = archive.files().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes).to_string()));
    claims.metadata.get_or_insert_default().target_hashes = hashes.collect();
    write::pack(archive, &claims.sign(issuer)?, compression)
}

#[cfg(test)]
mod tests;
