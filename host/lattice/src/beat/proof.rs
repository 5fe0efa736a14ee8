//! What proves that a beat was sent by a host of the cluster: one header beside it.
//!
//! Hosts with one cluster key derive one more key of it, and end each beat with a code (HMAC) under that: a lattice
//! hears as many beats as there are pairs of hosts, and a code costs a fraction of what a signature does. A host that
//! trusts other cluster keys signs as well, for hosts of those clusters. Subject and body are covered, so a beat speaks
//! of one host of one lattice. That it was sent before is not known here.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wattle_bus::Message;
use wattle_types::wascap::{Digest, KeyPair, PublicKey};

/// The cluster key, the code, and the signature if there is one, with a blank between.
const PROOF: &str = "Wattle-Proof";
/// Bytes of the code: 128 bits of HMAC-SHA-256.
const CODE_LEN: usize = 16;
const INFO: &[u8] = b"wattle beat 1";

/// Why a beat is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproven {
    #[error("it has no proof that can be read")]
    Missing,
    #[error("its cluster key {0} is not trusted")]
    Untrusted(PublicKey),
    #[error("its proof is not right")]
    Forged,
}

/// Proves beats, and checks the proofs of others.
pub(crate) struct Prover {
    cluster: Arc<KeyPair>,
    /// Other clusters whose hosts are heard.
    issuers: Vec<PublicKey>,
    code: Hmac<Sha256>,
}

impl Prover {
    /// Makes it from the cluster's key and other keys that are trusted.
    pub(crate) fn new(cluster: Arc<KeyPair>, issuers: Vec<PublicKey>) -> Option<Self> {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, cluster.seed().as_bytes()).expand(INFO, &mut key).ok()?;
        Some(Self { cluster, issuers, code: Hmac::new_from_slice(&key).ok()? })
    }

    /// Returns the header that proves a beat.
    pub(crate) fn prove(&self, subject: &str, body: &[u8]) -> (String, String) {
        let code = self.code(subject, body).finalize().into_bytes();
        let code = BASE64URL_NOPAD.encode(code.get(..CODE_LEN).unwrap_or_default());
        let mut proof = format!("{} {code}", self.cluster.public_key());
        if !self.issuers.is_empty() {
            proof.push(' ');
            proof.push_str(&BASE64URL_NOPAD.encode(&self.cluster.sign(text(subject, body).as_bytes())));
        }
        (PROOF.into(), proof)
    }

    /// Checks that a host of a trusted cluster has sent a beat, at some time.
    pub(crate) fn check(&self, beat: &Message) -> Result<(), Unproven> {
        let mut proofs = beat.headers.iter().filter(|(name, _)| name == PROOF);
        let (Some((_, proof)), None) = (proofs.next(), proofs.next()) else { return Err(Unproven::Missing) };
        let mut words = proof.split(' ');
        let (Some(issuer), Some(code)) = (words.next(), words.next()) else { return Err(Unproven::Missing) };
        let issuer: PublicKey = issuer.parse().map_err(|_| Unproven::Missing)?;
        let is_right = if issuer == self.cluster.public_key() {
            let code = BASE64URL_NOPAD.decode(code.as_bytes()).ok().filter(|code| code.len() == CODE_LEN);
            let mac = self.code(&beat.subject, &beat.payload);
            code.is_some_and(|code| mac.verify_truncated_left(&code).is_ok())
        } else if self.issuers.contains(&issuer) {
            let signature = words.next().and_then(|word| BASE64URL_NOPAD.decode(word.as_bytes()).ok());
            let signature: Option<[u8; 64]> = signature.and_then(|bytes| bytes.try_into().ok());
            let text = text(&beat.subject, &beat.payload);
            signature.is_some_and(|signature| issuer.verify(text.as_bytes(), &signature).unwrap_or(false))
        } else {
            return Err(Unproven::Untrusted(issuer));
        };
        if is_right { Ok(()) } else { Err(Unproven::Forged) }
    }

    fn code(&self, subject: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut code = self.code.clone();
        for part in [subject.as_bytes(), b"\n", body] {
            code.update(part);
        }
        code
    }
}

fn text(subject: &str, body: &[u8]) -> String {
    format!("wattle beat 1\n{subject}\n{}", Digest::of(body))
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prover")
    }
}

#[cfg(test)]
mod tests {
    use wattle_types::wascap::KeyKind;

    use super::*;

    fn key(n: u8) -> KeyPair {
        KeyPair::from_seed_bytes(KeyKind::Cluster, [n; 32]).unwrap()
    }

    fn prover(own: u8, trusted: &[u8]) -> Prover {
        let issuers = trusted.iter().map(|n| key(*n).public_key()).collect();
        Prover::new(Arc::new(key(own)), issuers).unwrap()
    }

    fn sent(by: &Prover, subject: &str, body: &'static [u8]) -> Message {
        let headers = vec![by.prove(subject, body)];
        Message { subject: subject.into(), reply: None, payload: body.into(), headers }
    }

    #[test]
    fn hosts_of_trusted_clusters_are_heard_and_nobody_else() {
        let ours = prover(1, &[]);
        assert_eq!(ours.check(&sent(&prover(1, &[]), "a", b"x")), Ok(()));
        assert_eq!(ours.check(&sent(&prover(2, &[1]), "a", b"x")), Err(Unproven::Untrusted(key(2).public_key())));
        assert_eq!(prover(2, &[1]).check(&sent(&prover(1, &[2]), "a", b"x")), Ok(()));
        // Who trusts nobody else signs for nobody else.
        assert_eq!(prover(2, &[1]).check(&sent(&ours, "a", b"x")), Err(Unproven::Forged));
    }

    #[test]
    fn a_proof_is_of_one_subject_and_body() {
        for (sender, hearer) in [(prover(1, &[]), prover(1, &[])), (prover(1, &[2]), prover(2, &[1]))] {
            let good = sent(&sender, "a.b", b"body");
            assert_eq!(hearer.check(&good), Ok(()));
            assert_eq!(hearer.check(&Message { subject: "a.c".into(), ..good.clone() }), Err(Unproven::Forged));
            assert_eq!(hearer.check(&Message { payload: "bodx".into(), ..good.clone() }), Err(Unproven::Forged));
            assert_eq!(hearer.check(&Message { headers: vec![], ..good.clone() }), Err(Unproven::Missing));
            let twice = vec![good.headers[0].clone(); 2];
            assert_eq!(hearer.check(&Message { headers: twice, ..good.clone() }), Err(Unproven::Missing));
            let proof = good.headers[0].1.clone();
            for cut in 0..proof.len() {
                let headers = vec![(PROOF.to_owned(), proof[..cut].to_owned())];
                let is_whole_code = proof[..cut].split(' ').nth(1).is_some_and(|code| code.len() == 22);
                let cut = hearer.check(&Message { headers, ..good.clone() });
                assert!(cut.is_err() || (is_whole_code && hearer.cluster.public_key() == sender.cluster.public_key()));
            }
        }
    }
}
