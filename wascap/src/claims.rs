//! What a token says: who issued it, about whom, for how long, and the metadata of its kind.
//!
//! Claims are mere statements: only [`crate::Verified`] ones may be acted upon.

use serde::{Deserialize, Serialize};

use crate::{ClaimsError, KeyPair, PublicKey, token};

mod kind;
mod metadata;
mod nuid;

pub use kind::ClaimsKind;
pub use metadata::{Account, Actor, Cluster, Host, Identity, Invocation, Metadata, Operator, Provider};

/// The generation of the wascap format written: the one whose module hash leaves out the token sections alone.
pub const WASCAP_REVISION: u32 = 3;

/// The statements of one token, with the metadata `T` of its kind.
///
/// Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<T> {
    /// Last second of validity; `None` is for ever.
    #[serde(rename = "exp", default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Names this token among all others (a NUID). Empty until signed.
    #[serde(rename = "jti")]
    pub id: String,
    /// When it was issued.
    #[serde(rename = "iat")]
    pub issued_at: u64,
    /// Public key of the signer. Empty until signed.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// What the claims are about: a public key, for invocations the invocation's id.
    #[serde(rename = "sub")]
    pub subject: String,
    /// First second of validity; `None` is at once.
    #[serde(rename = "nbf", default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// What only this kind of claims says.
    #[serde(rename = "wascap", default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<T>,
    /// Generation of the format: absent before wascap 0.9, 2 in 0.9, 3 since 0.10.1.
    #[serde(rename = "wascap_revision", default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
}

impl<T: Metadata> Claims<T> {
    /// Makes claims about `subject`, valid at once and for ever. Signing fills in issuer and id.
    #[must_use]
    pub fn new(metadata: T, subject: PublicKey, now: u64) -> Self {
        Self::about(metadata, subject.to_string(), now)
    }

    pub(crate) const fn about(metadata: T, subject: String, now: u64) -> Self {
        Self {
            expires: None,
            id: String::new(),
            issued_at: now,
            issuer: String::new(),
            subject,
            not_before: None,
            metadata: Some(metadata),
            revision: Some(WASCAP_REVISION),
        }
    }

    /// Makes `at` the last second of validity.
    #[must_use]
    pub const fn expires_at(mut self, at: u64) -> Self {
        self.expires = Some(at);
        self
    }

    /// Makes `at` the first second of validity.
    #[must_use]
    pub const fn not_before(mut self, at: u64) -> Self {
        self.not_before = Some(at);
        self
    }

    /// Writes the token of these claims, signed by `issuer`.
    ///
    /// The issuer becomes that key, the revision today's, the metadata normal; an empty id is filled in.
    ///
    /// # Errors
    /// [`ClaimsError::IssuerWrongKind`] or [`ClaimsError::SubjectWrongKind`] if nobody could accept such a token;
    /// [`ClaimsError::TokenTooLarge`]; [`ClaimsError::Key`] if there is no randomness for an id.
    pub fn sign(&self, issuer: &KeyPair) -> Result<String, ClaimsError> {
        let mut claims = self.clone();
        claims.issuer = issuer.public_key().to_string();
        claims.revision = Some(WASCAP_REVISION);
        if claims.id.is_empty() {
            claims.id = nuid::next()?;
        }
        if let Some(metadata) = &mut claims.metadata {
            metadata.normalize();
        }
        T::KIND.check_issuer(&claims.issuer)?;
        T::KIND.check_subject(&claims.subject, &claims.issuer)?;
        token::sign(&claims, issuer)
    }
}

impl<T> Claims<T> {
    /// Parts the metadata from what all kinds of claims have.
    pub(crate) fn split(self) -> (Claims<()>, Option<T>) {
        let Self { expires, id, issued_at, issuer, subject, not_before, metadata, revision } = self;
        (Claims { expires, id, issued_at, issuer, subject, not_before, metadata: None, revision }, metadata)
    }

    /// Checks the times against `now`, both ends included.
    ///
    /// # Errors
    /// [`ClaimsError::Expired`] or [`ClaimsError::NotYetValid`].
    pub fn check_times(&self, now: u64) -> Result<(), ClaimsError> {
        match (self.expires, self.not_before) {
            (Some(expired_at), _) if expired_at < now => Err(ClaimsError::Expired { expired_at, now }),
            (_, Some(valid_from)) if now < valid_from => Err(ClaimsError::NotYetValid { valid_from, now }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
