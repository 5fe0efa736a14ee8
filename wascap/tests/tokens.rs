//! Keys and tokens of every kind.

use std::collections::HashMap;

use wascap::jwt;
use wattle_wascap::{
    Account, Actor, Claims, Cluster, Host, InvocationFacts, KeyKind, KeyPair, Operator, Provider, TrustPolicy,
    sign_invocation, verify_invocation, verify_token,
};

use crate::{now, trusting, twin};

const KINDS: [KeyKind; 7] = [
    KeyKind::Account,
    KeyKind::Cluster,
    KeyKind::Module,
    KeyKind::Host,
    KeyKind::Operator,
    KeyKind::User,
    KeyKind::Provider,
];

#[test]
fn keys_of_every_kind_are_read_both_ways() {
    for kind in KINDS {
        let (ours, theirs) = twin(kind);
        assert_eq!(theirs.seed().unwrap(), ours.seed());
        assert_eq!(ours.sign(b"message").to_vec(), theirs.sign(b"message").unwrap(), "Ed25519 signs deterministically");
        theirs.verify(b"message", &ours.sign(b"message")).unwrap();
    }
}

#[test]
fn they_accept_our_golden_token() {
    let text = include_str!("../src/token/golden.jwt").trim_end();
    let validation = jwt::validate_token::<jwt::Component>(text).unwrap();
    assert!(validation.signature_valid && !validation.expired && !validation.cannot_use_yet);
    assert_eq!(jwt::Claims::<jwt::Component>::decode(text).unwrap().name(), "Golden");
}

/// What the published crate makes of a token of ours.
fn theirs<T>(text: &str) -> jwt::Claims<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + jwt::WascapEntity,
{
    let validation = jwt::validate_token::<T>(text).unwrap();
    assert!(validation.signature_valid && !validation.expired && !validation.cannot_use_yet);
    jwt::Claims::decode(text).unwrap()
}

#[test]
fn they_read_every_kind_of_ours() {
    let key = |kind| KeyPair::generate(kind).unwrap();
    let (operator, account, cluster) = (key(KeyKind::Operator), key(KeyKind::Account), key(KeyKind::Cluster));
    let (module, provider, host) = (key(KeyKind::Module), key(KeyKind::Provider), key(KeyKind::Host));

    let actor = Actor::new("a").capability("x:y").tag("t").revision(3).version("1").call_alias("My.Alias-1");
    let text = Claims::new(actor, module.public_key(), now()).expires_at(now() + 60).sign(&account).unwrap();
    let read = theirs::<jwt::Component>(&text).metadata.unwrap();
    assert_eq!((read.rev, read.ver.as_deref(), read.call_alias.as_deref()), (Some(3), Some("1"), Some("my_alias_1")));

    let text = Claims::new(Provider::new("p", "x:y", "v"), provider.public_key(), now()).sign(&account).unwrap();
    assert_eq!(theirs::<jwt::CapabilityProvider>(&text).metadata.unwrap().vendor, "v");

    let signer = key(KeyKind::Account).public_key();
    let text = Claims::new(Account::new("a").signer(signer), account.public_key(), now()).sign(&operator).unwrap();
    assert_eq!(theirs::<jwt::Account>(&text).metadata.unwrap().valid_signers, Some(vec![signer.to_string()]));
    let text = Claims::new(Operator::new("o"), operator.public_key(), now()).sign(&operator).unwrap();
    assert_eq!(theirs::<jwt::Operator>(&text).name(), "o");
    let text = Claims::new(Cluster::new("c"), cluster.public_key(), now()).sign(&operator).unwrap();
    assert_eq!(theirs::<jwt::Cluster>(&text).name(), "c");
    let text = Claims::new(Host::new("h").label("k", "v"), host.public_key(), now()).sign(&cluster).unwrap();
    assert_eq!(theirs::<jwt::Host>(&text).metadata.unwrap().labels.unwrap()["k"], "v");
}

#[test]
fn we_read_every_kind_of_theirs() {
    let (operator, their_operator) = twin(KeyKind::Operator);
    let (account, their_account) = twin(KeyKind::Account);
    let (cluster, their_cluster) = twin(KeyKind::Cluster);
    let key = |kind| KeyPair::generate(kind).unwrap().public_key().to_string();
    let policy = trusting(&account).trust_operator(operator.public_key()).unwrap();
    let policy = policy.trust_cluster(cluster.public_key()).unwrap();
    let (o, a, c) = (their_operator.public_key(), their_account.public_key(), their_cluster.public_key());

    let component =
        jwt::Component::new("m".into(), Some(vec!["t".into()]), false, Some(1), None, Some("My.Alias-1".into()));
    let claims = jwt::ClaimsBuilder::new().issuer(&a).subject(&key(KeyKind::Module)).with_metadata(component).build();
    let verified = verify_token::<Actor>(&claims.encode(&their_account).unwrap(), now(), &policy).unwrap();
    assert_eq!(verified.metadata().call_alias.as_deref(), Some("my_alias_1"));

    let hashes = HashMap::from([("x86_64-linux".into(), "AB".into())]);
    let claims = jwt::Claims::<jwt::CapabilityProvider>::new(
        "p".into(),
        a.clone(),
        key(KeyKind::Provider),
        "v".into(),
        Some(1),
        None,
        hashes,
    );
    let verified = verify_token::<Provider>(&claims.encode(&their_account).unwrap(), now(), &policy).unwrap();
    assert_eq!(verified.metadata().target_hashes["x86_64-linux"], "AB");

    let claims = jwt::Claims::<jwt::Account>::new("a".into(), o.clone(), a.clone(), vec![key(KeyKind::Account)]);
    let text = claims.encode(&their_operator).unwrap();
    verify_token::<Account>(&text, now(), &policy).unwrap();
    let chained = TrustPolicy::new().trust_operator(operator.public_key()).unwrap().account_token(&text).unwrap();
    chained.check_issuer(account.public_key(), now()).unwrap();

    let claims = jwt::Claims::<jwt::Operator>::new("o".into(), o.clone(), o.clone(), vec![]);
    verify_token::<Operator>(&claims.encode(&their_operator).unwrap(), now(), &policy).unwrap();
    let claims = jwt::Claims::<jwt::Cluster>::new("c".into(), o, c.clone(), vec![]);
    verify_token::<Cluster>(&claims.encode(&their_operator).unwrap(), now(), &policy).unwrap();
    let claims = jwt::Claims::<jwt::Host>::new("h".into(), c, key(KeyKind::Host), Some(HashMap::new()));
    verify_token::<Host>(&claims.encode(&their_cluster).unwrap(), now(), &policy).unwrap();
}

#[test]
fn invocations_are_read_both_ways() {
    let (cluster, their_cluster) = twin(KeyKind::Cluster);
    let policy = TrustPolicy::new().trust_cluster(cluster.public_key()).unwrap();
    let facts =
        InvocationFacts { origin_url: "wasmbus://M", target_url: "wasmbus://V", operation: "A.B", message: b"m" };
    let text = sign_invocation("id", &facts, &cluster, now(), 30).unwrap();
    let said = theirs::<jwt::Invocation>(&text);
    assert_eq!(said.subject, "id");
    let said = said.metadata.unwrap();
    assert_eq!((said.target_url.as_str(), said.origin_url.as_str()), ("wasmbus://V/A.B", "wasmbus://M"));

    let claims = jwt::Claims::<jwt::Invocation>::new(
        their_cluster.public_key(),
        "id".into(),
        "wasmbus://V/A.B",
        "wasmbus://M",
        &said.invocation_hash,
    );
    let verified = verify_invocation(&claims.encode(&their_cluster).unwrap(), "id", &facts, now(), &policy).unwrap();
    assert_eq!(verified.expires(), None);
}
