//! No text panics the token reader, and none verifies under a key nobody has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattle_wascap::{Actor, KeyKind, PublicKey, TrustPolicy, inspect, verify_token};

fuzz_target!(|text: &str| {
    let nobody = PublicKey::from_bytes(KeyKind::Account, [1; 32]);
    let policy = TrustPolicy::new().trust_account(nobody).expect("an account's key");
    let _ = inspect(text.as_bytes(), 0, Some(&policy));
    let _ = policy.clone().account_token(text);
    assert!(verify_token::<Actor>(text, 0, &policy).is_err());
});
