//! From a token's text to claims that hold.

use crate::{Claims, ClaimsError, ClaimsKind, Identity, PublicKey, Token, TrustPolicy};

/// Claims whose signature, key kinds, times and issuer were checked.
///
/// For modules and archives that is half the proof: see [`crate::VerifiedModule`], [`crate::VerifiedArchive`].
#[derive(Debug, Clone)]
pub struct Verified<T> {
    claims: Claims<()>,
    metadata: T,
    issuer: PublicKey,
    subject: PublicKey,
    token: String,
}

impl<T> Verified<T> {
    /// Returns who signed.
    #[must_use]
    pub const fn issuer(&self) -> PublicKey {
        self.issuer
    }

    /// Returns whom the claims are about.
    #[must_use]
    pub const fn subject(&self) -> PublicKey {
        self.subject
    }

    /// Returns what this kind of claims says.
    #[must_use]
    pub const fn metadata(&self) -> &T {
        &self.metadata
    }

    /// Returns what all kinds of claims say: times, id, revision.
    #[must_use]
    pub const fn claims(&self) -> &Claims<()> {
        &self.claims
    }

    /// Returns the token itself, for those who want to check again.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Checks the times once more, for what runs longer than its claims.
    ///
    /// # Errors
    /// [`ClaimsError::Expired`] or [`ClaimsError::NotYetValid`].
    pub fn check_times(&self, now: u64) -> Result<(), ClaimsError> {
        self.claims.check_times(now)
    }
}

/// Checks a token: form, key kinds, signature, times and issuer.
///
/// `now` is in seconds since 1970.
///
/// # Errors
/// The first reason to refuse it, in that order.
pub fn verify_token<T: Identity>(text: &str, now: u64, policy: &TrustPolicy) -> Result<Verified<T>, ClaimsError> {
    check_token(&Token::parse(text)?, now, policy)
}

pub(crate) fn check_token<T: Identity>(
    token: &Token<'_>,
    now: u64,
    policy: &TrustPolicy,
) -> Result<Verified<T>, ClaimsError> {
    let (claims, metadata) = token.claims::<T>()?.split();
    let issuer = T::KIND.check_issuer(&claims.issuer)?;
    let subject = T::KIND.check_subject(&claims.subject, &claims.issuer)?;
    checks(token, &claims, T::KIND, now, Some(policy)).into_iter().collect::<Result<(), _>>()?;
    let incomplete = || ClaimsError::ClaimsMalformed("they say nothing (no wascap object)".into());
    let subject = subject.ok_or_else(incomplete)?;
    let metadata = metadata.ok_or_else(incomplete)?;
    Ok(Verified { claims, metadata, issuer, subject, token: token.text().to_owned() })
}

/// Everything that is checked of a token of any kind; without a policy, all but trust.
pub(crate) fn checks<T>(
    token: &Token<'_>,
    claims: &Claims<T>,
    kind: ClaimsKind,
    now: u64,
    policy: Option<&TrustPolicy>,
) -> [Result<(), ClaimsError>; 5] {
    let issuer = kind.check_issuer(&claims.issuer);
    let subject = kind.check_subject(&claims.subject, &claims.issuer);
    // Without an issuer's key neither signature nor trust can be checked; the missing key is refusal enough.
    let with_issuer =
        |check: &dyn Fn(PublicKey) -> Result<(), ClaimsError>| issuer.as_ref().map_or(Ok(()), |key| check(*key));
    let signature = with_issuer(&|key| token.check_signature(key));
    let trust = with_issuer(&|key| policy.map_or(Ok(()), |policy| policy.check_issuer(key, now)));
    [issuer.map(drop), subject.map(drop), signature, claims.check_times(now), trust]
}

#[cfg(test)]
mod tests;
