use super::*;
use crate::{Distrust, KeyKind, token};

const NOW: u64 = 1_000;
const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

struct Signer {
    account: KeyPair,
    module: KeyPair,
}

impl Signer {
    fn new() -> Self {
        let [account, module] = [KeyKind::Account, KeyKind::Module].map(|kind| KeyPair::generate(kind).unwrap());
        Self { account, module }
    }

    fn policy(&self) -> TrustPolicy {
        TrustPolicy::new().trust_account(self.account.public_key()).unwrap()
    }

    fn claims(&self) -> Claims<Actor> {
        let actor =
            Actor::new("Counter").capability("wasmcloud:keyvalue").revision(7).version("1.2.3").call_alias("c-1");
        Claims::new(actor, self.module.public_key(), NOW)
    }

    fn sign(&self, module: &[u8]) -> Vec<u8> {
        sign_module(module, &self.claims(), &self.account).unwrap()
    }

    /// A token as an older or dishonest tool could have made it: any revision, any hash.
    fn token(&self, revision: Option<u32>, hash: &str) -> String {
        let mut claims = self.claims();
        claims.issuer = self.account.public_key().to_string();
        claims.revision = revision;
        claims.metadata.as_mut().unwrap().module_hash = hash.into();
        token::sign(&claims, &self.account).unwrap()
    }
}

/// Types, a function, its export, its body, a custom section: with one padded section length.
fn sample() -> Vec<u8> {
    [
        EMPTY,
        &[1, 4, 1, 0x60, 0, 0],
        &[3, 0x82, 0x80, 0x00, 1, 0],
        &[7, 5, 1, 1, b'f', 0, 0],
        &[10, 4, 1, 2, 0, 0x0b],
        &[0, 6, 4, b'n', b'a', b'm', b'e', 0],
    ]
    .concat()
}

fn code(bytes: &[u8], policy: &TrustPolicy) -> &'static str {
    verify_module(bytes, NOW, policy).unwrap_err().code()
}

#[test]
fn a_signed_module_says_who_and_what_it_is() {
    let signer = Signer::new();
    let signed = signer.sign(&sample());
    let verified = verify_module(&signed, NOW, &signer.policy()).unwrap();
    assert_eq!(verified.actor_id(), signer.module.public_key());
    assert_eq!(verified.issuer(), signer.account.public_key());
    assert_eq!(verified.name(), Some("Counter"));
    assert_eq!((verified.revision(), verified.version(), verified.call_alias()), (Some(7), Some("1.2.3"), Some("c_1")));
    assert_eq!(verified.capabilities(), ["wasmcloud:keyvalue"]);
    assert_eq!(verified.hash_check(), HashCheck::Matches);
    assert_eq!(ModuleSeal::read(&signed).unwrap().hash(), verified.hash());
    assert_eq!(*verified.hash(), module_hash(&sample()).unwrap());
}

#[test]
fn the_hash_is_that_of_the_reference() {
    // A separate Python implementation, over the header and all sections with minimal lengths.
    assert_eq!(
        module_hash(&sample()).unwrap().to_string(),
        "E66A261F88107CD578A0B20A6CDFA24BC7916F1DF129108EA73EFC879820F9E0"
    );
    assert_eq!(module_hash(EMPTY).unwrap(), Digest::of(EMPTY));
}

#[test]
fn the_token_is_the_last_section_and_replaces_older_ones() {
    let signer = Signer::new();
    let mut old = sample();
    wasm::append_custom(&mut old, "jwt", b"old");
    wasm::append_custom(&mut old, "wasmcloud_jwt", b"older");
    let signed = signer.sign(&signer.sign(&old));
    let text = extract_token(&signed).unwrap();
    assert!(signed.ends_with(text.as_bytes()));
    assert!(signed.starts_with(&strip_token(&sample()).unwrap()));
    assert_eq!(strip_token(&signed).unwrap(), strip_token(&sample()).unwrap());
    assert_eq!(embed_token(&sample(), text).unwrap(), signed);
    assert_eq!(embed_token(&sample(), "x").unwrap_err().code(), "token_malformed");
}

#[test]
fn refusals_come_with_their_names() {
    let signer = Signer::new();
    let signed = signer.sign(&sample());
    assert_eq!(code(&sample(), &signer.policy()), "claims_missing");
    assert_eq!(code(b"#!/bin/sh", &signer.policy()), "wasm_malformed");
    assert_eq!(code(&signed, &TrustPolicy::new()), "issuer_not_trusted");
    let expired = signer.claims().expires_at(NOW - 1);
    assert_eq!(code(&sign_module(EMPTY, &expired, &signer.account).unwrap(), &signer.policy()), "claims_expired");
    let unknown = verify_module(&signed, NOW, &TrustPolicy::new()).unwrap_err();
    assert_eq!(unknown, ClaimsError::IssuerNotTrusted { issuer: signer.account.public_key(), why: Distrust::Unknown });
}

#[test]
fn a_genuine_token_does_not_hold_for_another_module() {
    let signer = Signer::new();
    let signed = signer.sign(&sample());
    let moved = embed_token(EMPTY, extract_token(&signed).unwrap()).unwrap();
    let lenient = signer.policy().allow_unverifiable_legacy(true);
    assert_eq!(code(&moved, &signer.policy()), "module_hash_mismatch");
    assert_eq!(code(&moved, &lenient), "module_hash_mismatch");
}

#[test]
fn old_tokens_are_checked_too_and_only_policy_excuses_them() {
    let signer = Signer::new();
    let hash = module_hash(EMPTY).unwrap().to_string();
    let lenient = signer.policy().allow_unverifiable_legacy(true);
    for revision in [None, Some(0), Some(2)] {
        let good = embed_token(EMPTY, &signer.token(revision, &hash)).unwrap();
        assert_eq!(verify_module(&good, NOW, &signer.policy()).unwrap().hash_check(), HashCheck::Matches);
        for lost in [Digest::of(b"lost").to_string().as_str(), ""] {
            let old = embed_token(EMPTY, &signer.token(revision, lost)).unwrap();
            assert_eq!(code(&old, &signer.policy()), "module_hash_unverifiable");
            let allowed = verify_module(&old, NOW, &lenient).unwrap();
            assert_eq!(allowed.hash_check(), HashCheck::UnverifiableLegacy);
            assert_eq!(allowed.hash().to_string(), hash, "caches are keyed by what is there, not by what is claimed");
        }
    }
    let new = embed_token(EMPTY, &signer.token(Some(4), "")).unwrap();
    assert_eq!(code(&new, &lenient), "module_hash_mismatch");
}

#[test]
fn a_component_hides_no_second_token() {
    let signer = Signer::new();
    let mut inner = EMPTY.to_vec();
    wasm::append_custom(&mut inner, "jwt", b"unsigned bytes");
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend([1, inner.len() as u8]);
    component.extend(&inner);
    let signed = signer.sign(&component);
    assert!(verify_module(&signed, NOW, &signer.policy()).is_ok(), "signing removes it");
    let mut smuggled = component;
    wasm::append_custom(&mut smuggled, "wasmcloud_jwt", extract_token(&signed).unwrap().as_bytes());
    assert_eq!(code(&smuggled, &signer.policy()), "claims_ambiguous");
}

#[test]
fn no_flipped_bit_verifies() {
    let signer = Signer::new();
    let signed = signer.sign(&sample());
    // Even the policy that forgives most does not forgive this.
    let policy = signer.policy().allow_unverifiable_legacy(true);
    for i in 0..signed.len() {
        for bit in 0..8 {
            let mut broken = signed.clone();
            broken[i] ^= 1 << bit;
            assert!(verify_module(&broken, NOW, &policy).is_err(), "byte {i}, bit {bit}");
        }
    }
}

#[test]
fn no_cut_or_grown_module_verifies() {
    let signer = Signer::new();
    let signed = signer.sign(&sample());
    for len in 0..signed.len() {
        assert!(verify_module(&signed[..len], NOW, &signer.policy()).is_err(), "cut to {len}");
    }
    for more in [&[0][..], &[0, 1], &[0, 1, 0], &[11, 1, 0]] {
        assert!(verify_module(&[&signed, more].concat(), NOW, &signer.policy()).is_err(), "grown by {more:x?}");
    }
}
