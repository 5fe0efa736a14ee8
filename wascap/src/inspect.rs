//! A look at claims for people: everything is decoded and every finding listed, nothing is refused.

use serde_json::Value;

use crate::{
    Claims, ClaimsError, ClaimsKind, Digest, MAX_TOKEN_LEN, Token, TrustPolicy, archive,
    module::{check_hash, walk_hashing},
    verify,
};

/// What the claims were found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A module or component.
    Module,
    /// A provider archive.
    Archive,
    /// A bare token.
    Token,
}

/// What a look at claims found. Nothing here may be trusted.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// What the claims were found in.
    pub container: Container,
    /// The kind of claims.
    pub kind: ClaimsKind,
    /// The token's text.
    pub token: String,
    /// What it says.
    pub claims: Claims<Value>,
    /// Hash of the module at hand, without its token.
    pub module_hash: Option<Digest>,
    /// Platforms the archive has binaries for.
    pub targets: Vec<String>,
    /// Every reason to refuse it.
    pub findings: Vec<ClaimsError>,
}

/// Looks at a module, provider archive or bare token. Without a policy, trust is left out.
///
/// # Errors
/// [`ClaimsError`] only if there are no claims that could be shown.
pub fn inspect(bytes: &[u8], now: u64, policy: Option<&TrustPolicy>) -> Result<Inspection, ClaimsError> {
    if bytes.starts_with(b"\0asm") {
        return inspect_module(bytes, now, policy);
    }
    if archive::is_archive(bytes) {
        return inspect_archive(bytes, now, policy);
    }
    if bytes.len() > MAX_TOKEN_LEN {
        return Err(ClaimsError::TokenTooLarge { found: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ClaimsError::TokenMalformed("it is not text"))?;
    inspect_token(text.trim(), Container::Token, now, policy)
}

fn inspect_token(
    text: &str,
    container: Container,
    now: u64,
    policy: Option<&TrustPolicy>,
) -> Result<Inspection, ClaimsError> {
    let token = Token::parse(text)?;
    let claims: Claims<Value> = token.claims()?;
    let kind = match container {
        Container::Module => ClaimsKind::Actor,
        Container::Archive => ClaimsKind::Provider,
        Container::Token => ClaimsKind::of_subject(&claims.subject),
    };
    let mut findings: Vec<_> =
        verify::checks(&token, &claims, kind, now, policy).into_iter().filter_map(Result::err).collect();
    findings.extend(check_metadata(&token, kind).err());
    Ok(Inspection { container, kind, token: text.to_owned(), claims, module_hash: None, targets: Vec::new(), findings })
}

/// Checks that the metadata are those of the kind.
fn check_metadata(token: &Token<'_>, kind: ClaimsKind) -> Result<(), ClaimsError> {
    match kind {
        ClaimsKind::Operator => token.claims::<crate::Operator>().map(drop),
        ClaimsKind::Account => token.claims::<crate::Account>().map(drop),
        ClaimsKind::Actor => token.claims::<crate::Actor>().map(drop),
        ClaimsKind::Provider => token.claims::<crate::Provider>().map(drop),
        ClaimsKind::Cluster => token.claims::<crate::Cluster>().map(drop),
        ClaimsKind::Host => token.claims::<crate::Host>().map(drop),
        ClaimsKind::Invocation => token.claims::<crate::Invocation>().map(drop),
    }
}

fn inspect_module(bytes: &[u8], now: u64, policy: Option<&TrustPolicy>) -> Result<Inspection, ClaimsError> {
    let (tokens, hash) = walk_hashing(bytes)?;
    let mut inspection = inspect_token(tokens.only()?, Container::Module, now, policy)?;
    let claimed = inspection.claims.metadata.as_ref().and_then(|metadata| metadata.get("hash")).and_then(Value::as_str);
    let mismatch = check_hash(claimed.unwrap_or_default(), inspection.claims.revision, hash).err();
    inspection.findings.extend(mismatch);
    inspection.module_hash = Some(hash);
    Ok(inspection)
}

fn inspect_archive(bytes: &[u8], now: u64, policy: Option<&TrustPolicy>) -> Result<Inspection, ClaimsError> {
    let (archive, token) = archive::read(bytes)?;
    let mut inspection = inspect_token(&token, Container::Archive, now, policy)?;
    let claimed = Token::parse(&token)?.claims::<crate::Provider>().ok().and_then(|claims| claims.metadata);
    inspection.findings.extend(archive.check_hashes(&claimed.unwrap_or_default()));
    inspection.targets = archive.binaries.into_keys().collect();
    Ok(inspection)
}

#[cfg(test)]
mod tests;
