//! No bytes panic the section walk; stripping is stable and keeps the hash; none of them verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattle_wascap::{Digest, TrustPolicy, inspect, module_hash, strip_token, verify_module};

fuzz_target!(|bytes: &[u8]| {
    let _ = inspect(bytes, 0, None);
    assert!(verify_module(bytes, 0, &TrustPolicy::new()).is_err());
    if let Ok(stripped) = strip_token(bytes) {
        assert_eq!(strip_token(&stripped).as_deref(), Ok(&stripped[..]));
        assert_eq!(module_hash(bytes), Ok(Digest::of(&stripped)));
    }
});
