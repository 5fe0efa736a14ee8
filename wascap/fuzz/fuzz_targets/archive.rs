//! No bytes panic or fill the memory of the archive reader, and none verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattle_wascap::{TrustPolicy, inspect, verify_archive};

fuzz_target!(|bytes: &[u8]| {
    let _ = inspect(bytes, 0, None);
    assert!(verify_archive(bytes, 0, &TrustPolicy::new()).is_err());
});
