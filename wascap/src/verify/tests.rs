use super::*;
use crate::{Account, Actor, Cluster, Host, KeyKind, KeyPair, Operator, Provider, token};

const NOW: u64 = 1_000;

fn key(kind: KeyKind) -> KeyPair {
    KeyPair::generate(kind).unwrap()
}

fn policy(account: &KeyPair) -> TrustPolicy {
    TrustPolicy::new().trust_account(account.public_key()).unwrap()
}

fn actor(module: &KeyPair) -> Claims<Actor> {
    Claims::new(Actor::new("a"), module.public_key(), NOW)
}

fn code<T: Identity + std::fmt::Debug>(text: &str, policy: &TrustPolicy) -> &'static str {
    verify_token::<T>(text, NOW, policy).unwrap_err().code()
}

#[test]
fn claims_that_hold_keep_all_they_say() {
    let (account, module) = (key(KeyKind::Account), key(KeyKind::Module));
    let text = actor(&module).expires_at(NOW).sign(&account).unwrap();
    let verified = verify_token::<Actor>(&text, NOW, &policy(&account)).unwrap();
    assert_eq!((verified.issuer(), verified.subject()), (account.public_key(), module.public_key()));
    assert_eq!(verified.metadata().name.as_deref(), Some("a"));
    assert_eq!(verified.token(), text);
    assert_eq!(verified.claims().issued_at, NOW);
    assert_eq!(verified.check_times(NOW + 1).unwrap_err().code(), "claims_expired");
}

#[test]
fn each_refusal_has_its_name() {
    let (account, module) = (key(KeyKind::Account), key(KeyKind::Module));
    let trusting = policy(&account);
    let claims = actor(&module);
    let good = claims.sign(&account).unwrap();
    assert_eq!(code::<Actor>(&good, &TrustPolicy::new()), "issuer_not_trusted");
    assert_eq!(code::<Actor>(&claims.clone().expires_at(NOW - 1).sign(&account).unwrap(), &trusting), "claims_expired");
    let early = claims.clone().not_before(NOW + 1).sign(&account).unwrap();
    assert_eq!(code::<Actor>(&early, &trusting), "claims_not_yet_valid");
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = early.rsplit_once('.').unwrap();
    assert_eq!(code::<Actor>(&format!("{signed}.{signature}"), &trusting), "signature_invalid");
    assert_eq!(code::<Provider>(&good, &trusting), "subject_wrong_kind");
    assert_eq!(code::<Account>(&good, &trusting), "issuer_wrong_kind");
}

/// Signs without the checks of an honest signer.
fn forge(issuer: &KeyPair, said_issuer: &str, subject: &str, metadata: Option<Actor>) -> String {
    let mut claims = actor(&key(KeyKind::Module));
    claims.issuer = said_issuer.into();
    claims.subject = subject.into();
    claims.metadata = metadata;
    token::sign(&claims, issuer).unwrap()
}

#[test]
fn an_issuer_cannot_pose_as_another_or_as_another_kind() {
    let (account, module) = (key(KeyKind::Account), key(KeyKind::Module));
    let trusting = policy(&account);
    let (a, m) = (account.public_key().to_string(), module.public_key().to_string());
    let whole = || Some(Actor::new("x"));
    assert_eq!(code::<Actor>(&forge(&module, &a, &m, whole()), &trusting), "signature_invalid");
    assert_eq!(code::<Actor>(&forge(&module, &m, &m, whole()), &trusting), "issuer_wrong_kind");
    assert_eq!(code::<Actor>(&forge(&account, "", &m, whole()), &trusting), "issuer_wrong_kind");
    assert_eq!(code::<Actor>(&forge(&account, &a, "", whole()), &trusting), "subject_wrong_kind");
    assert_eq!(code::<Actor>(&forge(&account, &a, "test.wasm", whole()), &trusting), "subject_wrong_kind");
    assert_eq!(code::<Actor>(&forge(&account, &a, &a, whole()), &trusting), "subject_wrong_kind");
    assert_eq!(code::<Actor>(&forge(&account, &a, &m, None), &trusting), "claims_malformed");
    // The same 32 bytes under an operator's letter are not that account.
    let twin = PublicKey::from_bytes(KeyKind::Operator, *account.public_key().as_bytes()).to_string();
    assert_eq!(code::<Actor>(&forge(&account, &twin, &m, whole()), &trusting), "issuer_wrong_kind");
}

#[test]
fn every_kind_is_signed_and_verified_by_whom_it_may() {
    let (operator, account, cluster) = (key(KeyKind::Operator), key(KeyKind::Account), key(KeyKind::Cluster));
    let trusting = policy(&account)
        .trust_operator(operator.public_key())
        .and_then(|policy| policy.trust_cluster(cluster.public_key()))
        .unwrap();
    fn holds<T: Identity>(metadata: T, subject: &KeyPair, issuer: &KeyPair, policy: &TrustPolicy) {
        let text = Claims::new(metadata, subject.public_key(), NOW).sign(issuer).unwrap();
        verify_token::<T>(&text, NOW, policy).unwrap();
    }
    holds(Operator::new("o"), &operator, &operator, &trusting);
    holds(Account::new("a"), &account, &operator, &trusting);
    holds(Actor::new("m"), &key(KeyKind::Module), &account, &trusting);
    holds(Provider::new("p", "c:c", "v"), &key(KeyKind::Provider), &account, &trusting);
    holds(Cluster::new("c"), &cluster, &account, &trusting);
    holds(Cluster::new("c"), &cluster, &operator, &trusting);
    holds(Host::new("h"), &key(KeyKind::Host), &cluster, &trusting);
}
