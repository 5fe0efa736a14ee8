//! Who may ask for changes: signatures of control messages, and whether they are required.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use wattle_bus::Message;
use wattle_types::{
    replay::{ReplayWindow, Replayed},
    signed::{self, CLOCKS_APART_MAX_SECS, SignatureError},
    wascap::{Digest, PublicKey},
};

/// Verbs that change nothing and tell no secrets: anybody who may publish them may ask.
const OPEN: [&str; 11] = [
    "host.ping",
    "host.get",
    "link.get",
    "claims.get",
    "component.auction",
    "provider.auction",
    "wattle.get_declared",
    "wattle.get_standings",
    "wattle.measure_actor",
    "wattle.get_load",
    "wattle.follow_rollout",
];

/// Verbs, or how they begin, that any one host carries out and that change something.
const CHANGES: [&str; 4] = ["link.put", "link.del", "config.put.", "config.del."];

/// Checks that whoever asks still waits. Times in milliseconds since 1970; without one nobody says that he gives up.
pub(super) fn check_in_time(request: &Message, now_ms: u64) -> Result<Option<u64>, PermitError> {
    let until = signed::millis_in(&request.headers, signed::UNTIL)?;
    match until {
        Some(until) if until < now_ms => Err(PermitError::Late { late_ms: now_ms - until }),
        until => Ok(until),
    }
}

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// It has to be signed.
    #[error("this host carries out signed requests only, and this one is not signed")]
    Unsigned,
    /// Its signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is signed by a key that may not ask.
    #[error("{0} may not ask this host for changes")]
    NotPermitted(PublicKey),
    /// It is an order of a leader, which no host of the cluster has signed.
    #[error("only a host of the same cluster may give orders as the lattice's leader")]
    NoLeader,
    /// Whoever asked has given up: it is of no use any more.
    #[error("the request came {} ms after it was of use, by this host's clock, and was not carried out", .late_ms)]
    Late {
        /// By how much.
        late_ms: u64,
    },
    /// It is signed for no host in particular, and could be carried out by each.
    #[error("a signed change must be sent to one host: one that is sent to any could be carried out by each of them")]
    NotAddressed,
    /// It was sent before.
    #[error("the request cannot be taken: {0}")]
    Repeated(String),
}

impl PermitError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "request_unsigned",
            Self::Signature(SignatureError::Stale { .. }) => "clocks_apart",
            Self::Signature(_) => "request_signature_invalid",
            Self::NotPermitted(_) | Self::NoLeader => "request_not_permitted",
            Self::Late { .. } => "request_late",
            Self::NotAddressed => "request_not_addressed",
            Self::Repeated(_) => "request_repeated",
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unsigned => "sign it: wattle --sign-with KEY; tools that cannot sign need a host without \
                               --require-signed"
                .into(),
            Self::Signature(SignatureError::Stale { .. }) => "set the clocks of both machines by NTP".into(),
            Self::Signature(_) => "check that nothing between changes messages".into(),
            Self::NotPermitted(key) => format!("start the host with --controller {key}, if that key may control it"),
            Self::NoLeader => "leave out the term, or give both hosts the same --cluster-key".into(),
            Self::Late { .. } => {
                "ask anew; if that helps never, wait longer with --timeout, or set the clocks of both machines by NTP"
                    .into()
            }
            Self::NotAddressed => "use a wattle program of the host's version, which chooses a host".into(),
            Self::Repeated(_) => "ask anew: a request is taken once".into(),
        }
    }
}

impl From<Replayed> for PermitError {
    fn from(error: Replayed) -> Self {
        Self::Repeated(error.to_string())
    }
}

/// What a request's signature proves of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A host of a trusted cluster: it may ask as the lattice's leader.
    Cluster,
    /// Nothing, or nothing that matters.
    Anybody,
    /// Nothing, as it is not fresh; and none is required.
    Late(SignatureError),
}

impl Asker {
    /// Checks that orders of a leader may be taken.
    pub(super) const fn may_lead(self) -> Result<(), PermitError> {
        match self {
            Self::Cluster => Ok(()),
            Self::Late(error) => Err(PermitError::Signature(error)),
            Self::Anybody => Err(PermitError::NoLeader),
        }
    }
}

/// Decides which requests are carried out.
#[derive(Debug)]
pub(crate) struct Permits {
    required: bool,
    signers: BTreeSet<PublicKey>,
    /// Keys of the host's own and other clusters, whose hosts may lead.
    clusters: BTreeSet<PublicKey>,
    /// What was taken. Requests name the host they are sent to, so that what it takes once is taken once altogether.
    taken: Mutex<ReplayWindow>,
}

impl Permits {
    /// `started` is when the host began, in seconds since 1970.
    pub(crate) fn new(required: bool, controllers: &[PublicKey], clusters: BTreeSet<PublicKey>, started: u64) -> Self {
        let signers = controllers.iter().copied().chain(clusters.iter().copied()).collect();
        let taken = Mutex::new(ReplayWindow::of(CLOCKS_APART_MAX_SECS).since(started));
        Self { required, signers, clusters, taken }
    }

    /// Checks that a request that any one host may carry out can be carried out once only.
    pub(super) fn check_addressed(&self, verb: &str) -> Result<(), PermitError> {
        let is_change = CHANGES.iter().any(|change| verb.starts_with(change));
        if self.required && is_change { Err(PermitError::NotAddressed) } else { Ok(()) }
    }

    /// Checks one request, and returns what its signature proves. A signature, where there is one, must hold even if
    /// none is required.
    pub(super) fn check(&self, verb: &str, request: &Message, now: u64) -> Result<Asker, PermitError> {
        let signature = match signed::verify(&request.headers, &request.subject, &request.payload, now) {
            // Who need not sign may have a wrong clock. It proves nothing then.
            Err(error @ SignatureError::Stale { .. }) if !self.required => return Ok(Asker::Late(error)),
            signature => signature?,
        };
        let Some(signature) = signature else {
            let may_be_open = !self.required || OPEN.contains(&verb);
            return if may_be_open { Ok(Asker::Anybody) } else { Err(PermitError::Unsigned) };
        };
        if !self.signers.contains(&signature.signer) {
            // Whoever need not sign is not worse off for having done so.
            return if self.required { Err(PermitError::NotPermitted(signature.signer)) } else { Ok(Asker::Anybody) };
        }
        let id = Digest::of(format!("{} {}", signature.signer, signature.nonce).as_bytes());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.take(*id.as_bytes(), signature.time, now)?;
        Ok(if self.clusters.contains(&signature.signer) { Asker::Cluster } else { Asker::Anybody })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wattle_types::wascap::{KeyKind, KeyPair};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn request(headers: Vec<(String, String)>) -> Message {
        Message { subject: "a.b".into(), reply: None, payload: Bytes::from_static(b"{}"), headers }
    }

    fn signed_by(key: &KeyPair, nonce: u8) -> Message {
        request(signed::sign(key, "a.b", b"{}", NOW, [nonce; 16]))
    }

    #[test]
    fn a_host_that_requires_signatures_takes_each_signed_request_of_its_controllers_once() {
        let [controller, stranger] = [1, 2].map(|seed| KeyPair::from_seed_bytes(KeyKind::Account, [seed; 32]).unwrap());
        let cluster = KeyPair::from_seed_bytes(KeyKind::Cluster, [3; 32]).unwrap();
        let permits = Permits::new(true, &[controller.public_key()], [cluster.public_key()].into(), NOW);
        let code = |request: &Message, verb| permits.check(verb, request, NOW).map_err(|error| error.code());
        assert_eq!(code(&request(vec![]), "provider.stop"), Err("request_unsigned"));
        assert_eq!(code(&request(vec![]), "host.ping"), Ok(Asker::Anybody));
        assert_eq!(code(&signed_by(&stranger, 1), "provider.stop"), Err("request_not_permitted"));
        assert_eq!(code(&signed_by(&controller, 1), "provider.stop"), Ok(Asker::Anybody));
        assert_eq!(code(&signed_by(&controller, 1), "provider.stop"), Err("request_repeated"));
        assert_eq!(code(&signed_by(&controller, 2), "provider.stop"), Ok(Asker::Anybody));
        assert_eq!(code(&signed_by(&cluster, 1), "provider.stop"), Ok(Asker::Cluster));
        let late = permits.check("provider.stop", &signed_by(&cluster, 2), NOW + 61).map_err(|error| error.code());
        assert_eq!(late, Err("clocks_apart"));
        // What it was sent while it was another process may have been carried out then.
        let restarted = Permits::new(true, &[controller.public_key()], BTreeSet::new(), NOW + 1);
        let before = restarted.check("provider.stop", &signed_by(&controller, 1), NOW + 2);
        assert_eq!(before.map_err(|error| error.code()), Err("request_repeated"));
        // What any host may carry out would be carried out by each.
        assert_eq!(permits.check_addressed("config.put.a"), Err(PermitError::NotAddressed));
        assert_eq!(permits.check_addressed("config.get.a"), Ok(()));
        let mut changed = signed_by(&controller, 3);
        changed.payload = Bytes::from_static(b"[]");
        assert_eq!(code(&changed, "provider.stop"), Err("request_signature_invalid"));
    }

    #[test]
    fn a_host_that_does_not_require_them_refuses_only_what_is_forged_or_repeated() {
        let [controller, stranger] = [1, 2].map(|seed| KeyPair::from_seed_bytes(KeyKind::Account, [seed; 32]).unwrap());
        let permits = Permits::new(false, &[controller.public_key()], BTreeSet::new(), 0);
        assert_eq!(permits.check("provider.stop", &request(vec![]), NOW), Ok(Asker::Anybody));
        assert_eq!(permits.check("provider.stop", &signed_by(&stranger, 1), NOW), Ok(Asker::Anybody));
        assert_eq!(permits.check("provider.stop", &signed_by(&controller, 1), NOW), Ok(Asker::Anybody));
        assert!(permits.check("provider.stop", &signed_by(&controller, 1), NOW).is_err());
        let late = permits.check("provider.stop", &signed_by(&controller, 3), NOW + 1000).unwrap();
        assert_eq!(late, Asker::Late(SignatureError::Stale { ahead: -1000 }));
        let why = late.may_lead().unwrap_err();
        assert!(why.code() == "clocks_apart" && why.to_string().contains("1000 seconds ago"), "{why}");
        assert_eq!(Asker::Anybody.may_lead(), Err(PermitError::NoLeader));
        let mut forged = signed_by(&controller, 2);
        forged.subject = "a.c".into();
        assert!(permits.check("provider.stop", &forged, NOW).is_err());
    }

    #[test]
    fn what_comes_after_it_was_of_use_is_refused() {
        let until = |until: &str| request(vec![(signed::UNTIL.into(), until.into())]);
        assert_eq!(check_in_time(&until("1000"), 1000), Ok(Some(1000)));
        assert_eq!(check_in_time(&until("1000"), 1001), Err(PermitError::Late { late_ms: 1 }));
        assert_eq!(check_in_time(&request(vec![]), u64::MAX), Ok(None));
        assert_eq!(check_in_time(&until("never"), 0).map_err(|error| error.code()), Err("request_signature_invalid"));
    }
}
