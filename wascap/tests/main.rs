//! Against the published implementations: what they make holds here, what we make holds there.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is told by its panic")]

mod archives;
mod fixtures;
mod modules;
mod tokens;

use wattle_wascap::{KeyKind, KeyPair, TrustPolicy};

/// A key of ours and the published crate's view of the same seed.
fn twin(kind: KeyKind) -> (KeyPair, nkeys::KeyPair) {
    let ours = KeyPair::generate(kind).unwrap();
    let theirs = nkeys::KeyPair::from_seed(&ours.seed()).unwrap();
    assert_eq!(theirs.public_key(), ours.public_key().to_string());
    (ours, theirs)
}

fn trusting(account: &KeyPair) -> TrustPolicy {
    TrustPolicy::new().trust_account(account.public_key()).unwrap()
}

/// Their clock is the system's, so ours is here too.
fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
