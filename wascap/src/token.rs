//! The compact text of a token: `header.claims.signature`, each unpadded base64url.
//!
//! The signature covers the text of the first two parts. Knows nothing of who may state what.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Claims, ClaimsError, KeyPair, PublicKey};

/// Longest token read or written, in bytes. Genuine ones have about 1000; a provider's may carry a JSON schema.
pub const MAX_TOKEN_LEN: usize = 256 * 1024;

const HEADER: &str = r#"{"typ":"jwt","alg":"Ed25519"}"#;

/// A header with any other member (`crit`, `kid`, ...) asks for rules we do not have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
}

/// A token taken apart. Nothing in it has been checked but its form.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    text: &'a str,
    signed: &'a str,
    payload: Vec<u8>,
    signature: [u8; 64],
}

impl<'a> Token<'a> {
    /// Takes a token's text apart. White space around it is an error.
    ///
    /// # Errors
    /// [`ClaimsError::TokenTooLarge`], [`ClaimsError::TokenMalformed`] or [`ClaimsError::HeaderUnsupported`].
    pub fn parse(text: &'a str) -> Result<Self, ClaimsError> {
        if text.len() > MAX_TOKEN_LEN {
            return Err(ClaimsError::TokenTooLarge { found: text.len() });
        }
        let (signed, signature) =
            text.rsplit_once('.').ok_or(ClaimsError::TokenMalformed("it has one part, not three"))?;
        let (header, payload) =
            signed.split_once('.').ok_or(ClaimsError::TokenMalformed("it has two parts, not three"))?;
        if payload.contains('.') {
            return Err(ClaimsError::TokenMalformed("it has more than three parts"));
        }
        check_header(&decode(header)?)?;
        let signature =
            decode(signature)?.try_into().map_err(|_| ClaimsError::TokenMalformed("its signature has not 64 bytes"))?;
        Ok(Self { text, signed, payload: decode(payload)?, signature })
    }

    /// Returns the text it was parsed from.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Reads the claims, *unverified*.
    ///
    /// # Errors
    /// [`ClaimsError::ClaimsMalformed`] if they are not those of the kind.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<Claims<T>, ClaimsError> {
        serde_json::from_slice(&self.payload).map_err(|error| ClaimsError::ClaimsMalformed(error.to_string()))
    }

    /// Checks the signature against `issuer`.
    ///
    /// # Errors
    /// [`ClaimsError::SignatureInvalid`] if it is another's, or of another text.
    pub fn check_signature(&self, issuer: PublicKey) -> Result<(), ClaimsError> {
        match issuer.verify(self.signed.as_bytes(), &self.signature) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(ClaimsError::SignatureInvalid { issuer }),
        }
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, ClaimsError> {
    BASE64URL_NOPAD
        .decode(segment.as_bytes())
        .map_err(|_| ClaimsError::TokenMalformed("a part is not unpadded base64url"))
}

fn check_header(json: &[u8]) -> Result<(), ClaimsError> {
    match serde_json::from_slice::<Header<'_>>(json) {
        Ok(Header { typ: "jwt", alg: "Ed25519" }) => Ok(()),
        _ => Err(ClaimsError::HeaderUnsupported),
    }
}

/// Writes and signs the token of `claims`, as they are.
pub(crate) fn sign<T: Serialize>(claims: &Claims<T>, issuer: &KeyPair) -> Result<String, ClaimsError> {
    let json = serde_json::to_vec(claims).map_err(|error| ClaimsError::ClaimsMalformed(error.to_string()))?;
    let mut text = BASE64URL_NOPAD.encode(HEADER.as_bytes());
    text.push('.');
    BASE64URL_NOPAD.encode_append(&json, &mut text);
    let signature = issuer.sign(text.as_bytes());
    text.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut text);
    if text.len() > MAX_TOKEN_LEN { Err(ClaimsError::TokenTooLarge { found: text.len() }) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
