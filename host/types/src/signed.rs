//! Signed control messages: who asks for a change, provably, and once.
//!
//! Four headers beside a request. The Ed25519 signature covers `wattle control 1`, subject, time, nonce and the body's
//! SHA-256, each on a line of its own. One that says until when it is of use, in a fifth header, has `wattle control 2`
//! and that time after the nonce. So a request cannot be sent elsewhere, changed, or sent again later. Tools that
//! know nothing of them ignore the headers.

use data_encoding::BASE64URL_NOPAD;
use wattle_wascap::{Digest, KeyPair, PublicKey};

/// Who signed.
const SIGNER: &str = "Wattle-Signer";
/// When, in seconds since 1970.
const TIME: &str = "Wattle-Time";
/// What tells requests of the same second apart.
const NONCE: &str = "Wattle-Nonce";
/// Base64url, without padding.
const SIGNATURE: &str = "Wattle-Signature";
/// Until when the request is of use to whoever asks, in milliseconds since 1970. Not only signed ones have it.
pub const UNTIL: &str = "Wattle-Until";
/// What the clock shows of a host that refuses a request as late, in milliseconds since 1970.
pub const CLOCK: &str = "Wattle-Clock";
/// How far the clocks of a lattice's hosts, and of whoever commands them, may be apart, in seconds. The one window for
/// all that is signed with a time: requests, leaders' orders, the first contact of two hosts.
pub const CLOCKS_APART_MAX_SECS: u64 = 60;
/// Longest nonce, in characters.
const NONCE_LEN_MAX: usize = 64;

/// A signature that holds. Whether the signer may ask, and whether the nonce is new, is for the host to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub signer: PublicKey,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Used once.
    pub nonce: String,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is missing or cannot be read.
    #[error("the request's signature cannot be read: {0} is missing or malformed")]
    Malformed(&'static str),
    /// It is not the signer's signature of this request.
    #[error("the request's signature is not its signer's over this subject and body")]
    Invalid,
    /// It was made too long ago, or ahead of time.
    #[error(
        "by this host's clock the request was signed {} seconds {}; only {CLOCKS_APART_MAX_SECS} are allowed",
        .ahead.unsigned_abs(),
        if *.ahead < 0 { "ago" } else { "ahead of time" }
    )]
    Stale {
        /// How far the signer's clock is ahead of this one, in seconds; behind, or the request was slow, if negative.
        ahead: i64,
    },
}

/// Returns the header that says until when a request is of use, in milliseconds since 1970.
#[must_use]
pub fn until(millis: u64) -> (String, String) {
    (UNTIL.into(), millis.to_string())
}

/// Returns the number in the one header of this name, if there is one.
///
/// # Errors
/// [`SignatureError::Malformed`] when it is no number, or there are several.
pub fn millis_in(headers: &[(String, String)], name: &'static str) -> Result<Option<u64>, SignatureError> {
    let mut values = headers.iter().filter(|(header, _)| header == name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some((_, value)), None) => value.parse().map(Some).map_err(|_| SignatureError::Malformed(name)),
        (Some(_), Some(_)) => Err(SignatureError::Malformed(name)),
    }
}

/// Returns the headers that sign a request. `nonce` is random.
#[must_use]
pub fn sign(key: &KeyPair, subject: &str, body: &[u8], now: u64, nonce: [u8; 16]) -> Vec<(String, String)> {
    sign_until(key, subject, body, (now, None), nonce)
}

/// Returns the headers that sign a request, at a time in seconds, which is of use until a time in milliseconds since
/// 1970. `nonce` is random.
#[must_use]
pub fn sign_until(
    key: &KeyPair,
    subject: &str,
    body: &[u8],
    (now, end): (u64, Option<u64>),
    nonce: [u8; 16],
) -> Vec<(String, String)> {
    let nonce = BASE64URL_NOPAD.encode(&nonce);
    let signature = key.sign(text(subject, (now, end), &nonce, body).as_bytes());
    let headers = [
        (SIGNER, key.public_key().to_string()),
        (TIME, now.to_string()),
        (NONCE, nonce),
        (SIGNATURE, BASE64URL_NOPAD.encode(&signature)),
    ];
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(end.map(until)).collect()
}

/// Checks the signature of a request, if it has one. `now` is in seconds since 1970.
///
/// # Errors
/// Why it does not hold.
pub fn verify(
    headers: &[(String, String)],
    subject: &str,
    body: &[u8],
    now: u64,
) -> Result<Option<Signature>, SignatureError> {
    let header = |name: &str| {
        let mut named = headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str()).filter(|_| named.next().is_none())
    };
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case(SIGNATURE)) {
        return Ok(None);
    }
    let malformed = SignatureError::Malformed;
    let signature = header(SIGNATURE).and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
    let signature: [u8; 64] = signature.and_then(|bytes| bytes.try_into().ok()).ok_or(malformed(SIGNATURE))?;
    let signer: PublicKey = header(SIGNER).and_then(|text| text.parse().ok()).ok_or(malformed(SIGNER))?;
    let time: u64 = header(TIME).and_then(|text| text.parse().ok()).ok_or(malformed(TIME))?;
    let nonce = header(NONCE).filter(|nonce| !nonce.is_empty() && nonce.len() <= NONCE_LEN_MAX);
    let nonce = nonce.ok_or(malformed(NONCE))?.to_owned();
    let end = millis_in(headers, UNTIL)?;
    let ahead = ahead_of(time, now);
    if ahead.unsigned_abs() > CLOCKS_APART_MAX_SECS {
        return Err(SignatureError::Stale { ahead });
    }
    match signer.verify(text(subject, (time, end), &nonce, body).as_bytes(), &signature) {
        Ok(true) => Ok(Some(Signature { signer, time, nonce })),
        Ok(false) | Err(_) => Err(SignatureError::Invalid),
    }
}

/// Returns by how many seconds one clock is ahead of another, both in seconds since 1970; negative if it is behind.
#[must_use]
pub fn ahead_of(theirs: u64, ours: u64) -> i64 {
    let apart = i64::try_from(theirs.abs_diff(ours)).unwrap_or(i64::MAX);
    if theirs < ours { -apart } else { apart }
}

fn text(subject: &str, (time, end): (u64, Option<u64>), nonce: &str, body: &[u8]) -> String {
    let body = Digest::of(body);
    match end {
        None => format!("wattle control 1\n{subject}\n{time}\n{nonce}\n{body}"),
        Some(end) => format!("wattle control 2\n{subject}\n{time}\n{nonce}\n{end}\n{body}"),
    }
}

#[cfg(test)]
mod tests {
    use wattle_wascap::KeyKind;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_signature_holds_for_its_subject_body_and_time_only() {
        let key = KeyPair::from_seed_bytes(KeyKind::Account, [7; 32]).unwrap();
        let headers = sign(&key, "a.b", b"body", NOW, [1; 16]);
        let signature = verify(&headers, "a.b", b"body", NOW + CLOCKS_APART_MAX_SECS).unwrap().unwrap();
        assert_eq!((signature.signer, signature.time), (key.public_key(), NOW));
        for (subject, body, now, error) in [
            ("a.c", b"body".as_slice(), NOW, SignatureError::Invalid),
            ("a.b", b"Body", NOW, SignatureError::Invalid),
            ("a.b", b"body", NOW + 61, SignatureError::Stale { ahead: -61 }),
            ("a.b", b"body", NOW - 61, SignatureError::Stale { ahead: 61 }),
            ("a.b", b"body", 0, SignatureError::Stale { ahead: 1_800_000_000 }),
            ("a.b", b"body", u64::MAX, SignatureError::Stale { ahead: -i64::MAX }),
        ] {
            assert_eq!(verify(&headers, subject, body, now), Err(error), "{subject} {now}");
        }
    }

    #[test]
    fn until_when_it_is_of_use_is_signed_too() {
        let key = KeyPair::from_seed_bytes(KeyKind::Account, [7; 32]).unwrap();
        let headers = sign_until(&key, "a", b"", (NOW, Some(5_000)), [1; 16]);
        assert_eq!(millis_in(&headers, UNTIL), Ok(Some(5_000)));
        assert!(verify(&headers, "a", b"", NOW).unwrap().is_some());
        let but_last = headers[..4].to_vec();
        let longer = [but_last.clone(), vec![until(9_000)]].concat();
        for changed in [but_last, longer] {
            assert_eq!(verify(&changed, "a", b"", NOW), Err(SignatureError::Invalid));
        }
        let twice = [headers.clone(), vec![until(5_000)]].concat();
        assert_eq!(verify(&twice, "a", b"", NOW), Err(SignatureError::Malformed(UNTIL)));
        assert_eq!(millis_in(&[(UNTIL.into(), "soon".into())], UNTIL), Err(SignatureError::Malformed(UNTIL)));
    }

    #[test]
    fn what_is_not_signed_is_told_from_what_is_signed_badly() {
        let key = KeyPair::from_seed_bytes(KeyKind::Account, [7; 32]).unwrap();
        assert_eq!(verify(&[("traceparent".into(), "00".into())], "a", b"", NOW), Ok(None));
        let good = sign(&key, "a", b"", NOW, [1; 16]);
        for index in 0..good.len() {
            let mut missing = good.clone();
            let (name, _) = missing.remove(index);
            let result = verify(&missing, "a", b"", NOW);
            assert_eq!(result.is_err(), name != SIGNATURE, "{name}");
            let mut twice = good.clone();
            twice.push(good[index].clone());
            assert!(matches!(verify(&twice, "a", b"", NOW), Err(SignatureError::Malformed(_))), "{name}");
            let mut broken = good.clone();
            broken[index].1 = "%".repeat(65);
            assert!(verify(&broken, "a", b"", NOW).is_err(), "{name}");
        }
        let other = KeyPair::from_seed_bytes(KeyKind::Account, [8; 32]).unwrap();
        let mut forged = good;
        forged[0].1 = other.public_key().to_string();
        assert_eq!(verify(&forged, "a", b"", NOW), Err(SignatureError::Invalid));
    }
}
