//! The token that goes with an invocation from host to host, signed by the cluster's key.
//!
//! It proves who sent what; that it was not sent before is for the receiver to remember (by id, until it expires).

use crate::{Claims, ClaimsError, Digest, Invocation, KeyPair, PublicKey, Token, TrustPolicy, verify};

/// What an invocation token is about.
#[derive(Debug, Clone, Copy)]
pub struct InvocationFacts<'a> {
    /// URL of who calls (`wasmbus://M...`).
    pub origin_url: &'a str,
    /// URL of who is called, without the operation.
    pub target_url: &'a str,
    /// The operation.
    pub operation: &'a str,
    /// The whole message, unchunked.
    pub message: &'a [u8],
}

impl InvocationFacts<'_> {
    fn claims(&self) -> Invocation {
        let target_url = format!("{}/{}", self.target_url, self.operation);
        let parts = [self.origin_url.as_bytes(), target_url.as_bytes(), self.operation.as_bytes(), self.message];
        let hash = Digest::of_parts(&parts).to_string();
        Invocation { target_url, origin_url: self.origin_url.to_owned(), hash }
    }
}

/// An invocation whose token holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedInvocation {
    issuer: PublicKey,
    issued_at: u64,
    expires: Option<u64>,
}

impl VerifiedInvocation {
    /// Returns the cluster key that signed.
    #[must_use]
    pub const fn issuer(&self) -> PublicKey {
        self.issuer
    }

    /// Returns when it was signed, in seconds since 1970.
    #[must_use]
    pub const fn issued_at(&self) -> u64 {
        self.issued_at
    }

    /// Returns its last second of validity; tokens of wasmCloud have none.
    #[must_use]
    pub const fn expires(&self) -> Option<u64> {
        self.expires
    }
}

/// Signs the invocation `id` for `valid_secs` from `now`.
///
/// # Errors
/// [`ClaimsError::IssuerWrongKind`] if `cluster` is no cluster's key, and what else [`Claims::sign`] refuses.
pub fn sign_invocation(
    id: &str,
    facts: &InvocationFacts<'_>,
    cluster: &KeyPair,
    now: u64,
    valid_secs: u64,
) -> Result<String, ClaimsError> {
    Claims::about(facts.claims(), id.to_owned(), now).expires_at(now.saturating_add(valid_secs)).sign(cluster)
}

/// Checks the token of the invocation `id` against what was received.
///
/// # Errors
/// The first reason to refuse it; [`ClaimsError::InvocationMismatch`] if it is about another invocation.
pub fn verify_invocation(
    token: &str,
    id: &str,
    facts: &InvocationFacts<'_>,
    now: u64,
    policy: &TrustPolicy,
) -> Result<VerifiedInvocation, ClaimsError> {
    let token = Token::parse(token)?;
    let claims = token.claims::<Invocation>()?;
    let issuer = crate::ClaimsKind::Invocation.check_issuer(&claims.issuer)?;
    let checks = verify::checks(&token, &claims, crate::ClaimsKind::Invocation, now, Some(policy));
    checks.into_iter().collect::<Result<(), _>>()?;
    let (claims, said) = claims.split();
    let (said, found) = (said.unwrap_or_default(), facts.claims());
    let statements = [
        ("id", claims.subject == id),
        ("target", said.target_url == found.target_url),
        ("origin", said.origin_url == found.origin_url),
        ("hash", said.hash == found.hash),
    ];
    match statements.into_iter().find(|(_, holds)| !holds) {
        Some((field, _)) => Err(ClaimsError::InvocationMismatch { field }),
        None => Ok(VerifiedInvocation { issuer, issued_at: claims.issued_at, expires: claims.expires }),
    }
}

#[cfg(test)]
mod tests;
