use super::*;
use crate::KeyKind;

const FACTS: InvocationFacts<'_> = InvocationFacts {
    origin_url: "wasmbus://MORIGIN",
    target_url: "wasmbus://wasmcloud/keyvalue/default/VTARGET",
    operation: "KeyValue.Get",
    message: b"\xa3key",
};

#[test]
fn the_hash_covers_origin_target_operation_and_message() {
    // sha256("wasmbus://MORIGIN" "wasmbus://wasmcloud/keyvalue/default/VTARGET/KeyValue.Get" "KeyValue.Get" a36b6579)
    let claims = FACTS.claims();
    assert_eq!(claims.target_url, "wasmbus://wasmcloud/keyvalue/default/VTARGET/KeyValue.Get");
    assert_eq!(claims.hash, "4E93F87936292CA27E33FDD2969FD579929F0C11DC00E3F65DF19102ED1444FB");
}

#[test]
fn a_token_holds_for_its_invocation_only() {
    let cluster = KeyPair::generate(KeyKind::Cluster).unwrap();
    let policy = TrustPolicy::new().trust_cluster(cluster.public_key()).unwrap();
    let token = sign_invocation("id", &FACTS, &cluster, 100, 30).unwrap();
    let verified = verify_invocation(&token, "id", &FACTS, 130, &policy).unwrap();
    assert_eq!((verified.issuer(), verified.issued_at(), verified.expires()), (cluster.public_key(), 100, Some(130)));

    let refusal =
        |id: &str, facts, now, policy: &TrustPolicy| verify_invocation(&token, id, facts, now, policy).unwrap_err();
    let mismatch = |field| ClaimsError::InvocationMismatch { field };
    assert_eq!(refusal("other", &FACTS, 100, &policy), mismatch("id"));
    assert_eq!(
        refusal("id", &InvocationFacts { origin_url: "wasmbus://M2", ..FACTS }, 100, &policy),
        mismatch("origin")
    );
    assert_eq!(
        refusal("id", &InvocationFacts { target_url: "wasmbus://V2", ..FACTS }, 100, &policy),
        mismatch("target")
    );
    assert_eq!(
        refusal("id", &InvocationFacts { operation: "KeyValue.Del", ..FACTS }, 100, &policy),
        mismatch("target")
    );
    assert_eq!(refusal("id", &InvocationFacts { message: b"", ..FACTS }, 100, &policy), mismatch("hash"));
    assert_eq!(refusal("id", &FACTS, 131, &policy).code(), "claims_expired");
    assert_eq!(refusal("id", &FACTS, 100, &TrustPolicy::new()).code(), "issuer_not_trusted");
}

#[test]
fn only_a_cluster_key_signs_invocations() {
    let host = KeyPair::generate(KeyKind::Host).unwrap();
    assert_eq!(sign_invocation("id", &FACTS, &host, 1, 1).unwrap_err().code(), "issuer_wrong_kind");
    let cluster = KeyPair::generate(KeyKind::Cluster).unwrap();
    assert_eq!(sign_invocation("", &FACTS, &cluster, 1, 1).unwrap_err().code(), "claims_malformed");
}
