use super::*;
use crate::{Actor, KeyKind};

/// Made from the seed bytes 00 01 .. 1f; the crate's interoperability tests show that others accept such tokens.
fn golden() -> (String, KeyPair) {
    let secret = std::array::from_fn(|i| i as u8);
    let account = KeyPair::from_seed_bytes(KeyKind::Account, secret).unwrap();
    let module = KeyPair::from_seed_bytes(KeyKind::Module, secret).unwrap();
    let mut claims = Claims::new(Actor::new("Golden"), module.public_key(), 1_600_000_000);
    claims.id = "0000000000000000000000".into();
    (claims.sign(&account).unwrap(), account)
}

fn code(text: &str) -> &'static str {
    Token::parse(text).unwrap_err().code()
}

#[test]
fn the_same_claims_always_give_the_same_text() {
    assert_eq!(golden().0, include_str!("golden.jwt").trim_end());
}

#[test]
fn a_signature_holds_for_its_text_and_issuer_only() {
    let (text, account) = golden();
    let token = Token::parse(&text).unwrap();
    assert_eq!(token.check_signature(account.public_key()), Ok(()));
    let other = KeyPair::generate(KeyKind::Account).unwrap().public_key();
    assert_eq!(token.check_signature(other), Err(ClaimsError::SignatureInvalid { issuer: other }));
    let curve = PublicKey::from_bytes(KeyKind::Curve, *account.public_key().as_bytes());
    assert_eq!(token.check_signature(curve).unwrap_err().code(), "signature_invalid");
}

#[test]
fn a_token_has_exactly_three_strict_parts() {
    let (text, _) = golden();
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    assert_eq!(code(""), "token_malformed");
    assert_eq!(code(".."), "token_header_unsupported");
    assert_eq!(code(header), "token_malformed");
    assert_eq!(code(&format!("{header}.{claims}")), "token_malformed");
    assert_eq!(code(&format!("{text}.{signature}")), "token_malformed");
    assert_eq!(code(&format!("{text}==")), "token_malformed");
    assert_eq!(code(&format!("{text}\n")), "token_malformed");
    assert_eq!(code(&format!("{header}.{claims}+.{signature}")), "token_malformed");
    assert_eq!(code(&format!("{header}.{claims}.{}", &signature[..84])), "token_malformed");
    assert_eq!(code(&"a".repeat(MAX_TOKEN_LEN + 1)), "token_too_large");
}

#[test]
fn bits_beyond_the_last_byte_must_be_zero() {
    // 64 bytes leave four unused bits in the last character: only one of sixteen spellings is right.
    let (text, _) = golden();
    let (head, _) = text.split_at(text.len() - 1);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let accepted = letters.chars().filter(|last| Token::parse(&format!("{head}{last}")).is_ok());
    assert_eq!(accepted.count(), 4);
}

#[test]
fn only_the_historic_header_is_known() {
    let (text, _) = golden();
    let (_, rest) = text.split_once('.').unwrap();
    for header in [
        r#"{"typ":"jwt","alg":"EdDSA"}"#,
        r#"{"typ":"jwt","alg":"none"}"#,
        r#"{"typ":"JWT","alg":"Ed25519"}"#,
        r#"{"alg":"Ed25519"}"#,
        r#"{"typ":"jwt","alg":"Ed25519","crit":["exp"]}"#,
        r#"{"typ":"jwt","alg":"Ed25519","alg":"Ed25519"}"#,
        "[]",
    ] {
        let text = format!("{}.{rest}", BASE64URL_NOPAD.encode(header.as_bytes()));
        assert_eq!(code(&text), "token_header_unsupported", "{header}");
    }
    let swapped = BASE64URL_NOPAD.encode(br#"{"alg":"Ed25519","typ":"jwt"}"#);
    assert!(Token::parse(&format!("{swapped}.{rest}")).is_ok());
}

#[test]
fn damaged_claims_have_their_own_name() {
    let account = golden().1;
    let claims: Claims<[u8; 1]> = serde_json::from_str(r#"{"jti":"","iat":0,"iss":"","sub":"","wascap":[1]}"#).unwrap();
    let text = sign(&claims, &account).unwrap();
    assert_eq!(Token::parse(&text).unwrap().claims::<Actor>().unwrap_err().code(), "claims_malformed");
}
