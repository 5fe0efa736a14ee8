use super::*;
use crate::{KeyKind, Token};

fn key(kind: KeyKind) -> KeyPair {
    KeyPair::from_seed_bytes(kind, std::array::from_fn(|i| i as u8)).unwrap()
}

fn json<T: Serialize>(claims: &Claims<T>) -> String {
    serde_json::to_string(claims).unwrap()
}

#[test]
fn an_actors_claims_are_written_as_the_field_knows_them() {
    let actor = Actor::new("Counter").capability("wasmcloud:keyvalue").tag("t").revision(2).version("0.2.0");
    let mut claims = Claims::new(actor.call_alias("counter"), key(KeyKind::Module).public_key(), 5);
    claims = claims.expires_at(9).not_before(6);
    claims.id = "I".into();
    assert_eq!(
        json(&claims),
        r#"{"exp":9,"jti":"I","iat":5,"iss":"","sub":"MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP","nbf":6,"#
            .to_owned()
            + r#""wascap":{"name":"Counter","hash":"","tags":["t"],"caps":["wasmcloud:keyvalue"],"rev":2,"ver":"0.2.0","#
            + r#""call_alias":"counter","prov":false},"wascap_revision":3}"#
    );
}

#[test]
fn other_kinds_are_written_as_the_field_knows_them() {
    let metadata = |text: &str| text.to_owned();
    let written = |value: serde_json::Result<String>| value.unwrap();
    let mut provider = Provider::new("KV", "wasmcloud:keyvalue", "us").revision(1).version("1");
    provider.target_hashes.insert("x86_64-linux".into(), "AB".into());
    assert_eq!(
        written(serde_json::to_string(&provider)),
        metadata(
            r#"{"name":"KV","capid":"wasmcloud:keyvalue","vendor":"us","rev":1,"ver":"1","target_hashes":{"x86_64-linux":"AB"}}"#
        )
    );
    assert_eq!(written(serde_json::to_string(&Account::new("a"))), r#"{"name":"a","valid_signers":[]}"#);
    assert_eq!(written(serde_json::to_string(&Host::new("h").label("k", "v"))), r#"{"name":"h","labels":{"k":"v"}}"#);
    let invocation = Invocation { target_url: "t".into(), origin_url: "o".into(), hash: "h".into() };
    assert_eq!(written(serde_json::to_string(&invocation)), r#"{"target_url":"t","origin_url":"o","hash":"h"}"#);
}

#[test]
fn claims_of_every_age_are_read() {
    let text = r#"{"jti":"a","iat":1,"iss":"A","sub":"M","wascap":{"hash":"H","caps":["wascc:keyvalue"]}}"#;
    let claims: Claims<Actor> = serde_json::from_str(text).unwrap();
    assert_eq!(claims.revision, None);
    assert_eq!(claims.metadata.unwrap().capabilities.unwrap(), ["wascc:keyvalue"]);
    let bare: Claims<Actor> = serde_json::from_str(r#"{"jti":"a","iat":1,"iss":"A","sub":"M"}"#).unwrap();
    assert_eq!(bare.metadata, None);
    for missing in [
        r#"{"iat":1,"iss":"A","sub":"M"}"#,
        r#"{"jti":"a","iat":1,"sub":"M"}"#,
        r#"{"jti":"a","iat":-1,"iss":"A","sub":"M"}"#,
    ] {
        assert!(serde_json::from_str::<Claims<Actor>>(missing).is_err(), "{missing}");
    }
}

#[test]
fn signing_fills_in_what_only_the_signer_knows() {
    let account = key(KeyKind::Account);
    let claims = Claims::new(Actor::new("x").call_alias(" My.Alias-1é "), key(KeyKind::Module).public_key(), 1);
    let token = claims.sign(&account).unwrap();
    let read: Claims<Actor> = Token::parse(&token).unwrap().claims().unwrap();
    assert_eq!(read.issuer, account.public_key().to_string());
    assert_eq!(read.id.len(), 22);
    assert_eq!(read.metadata.unwrap().call_alias.unwrap(), "my_alias_1");
    let ponger = Claims::new(Actor::new("x").call_alias("wasmcloud/ponger"), key(KeyKind::Module).public_key(), 1);
    let token = ponger.sign(&account).unwrap();
    let read: Claims<Actor> = Token::parse(&token).unwrap().claims().unwrap();
    assert_eq!(read.metadata.unwrap().call_alias.unwrap(), "wasmcloud/ponger");
}

#[test]
fn nobody_signs_what_nobody_could_accept() {
    let about = |kind| Claims::new(Actor::new("x"), key(kind).public_key(), 1);
    let code = |result: Result<String, ClaimsError>| result.unwrap_err().code();
    assert_eq!(code(about(KeyKind::Module).sign(&key(KeyKind::Operator))), "issuer_wrong_kind");
    assert_eq!(code(about(KeyKind::Provider).sign(&key(KeyKind::Account))), "subject_wrong_kind");
    let other = KeyPair::generate(KeyKind::Operator).unwrap();
    let operator = Claims::new(Operator::new("o"), key(KeyKind::Operator).public_key(), 1);
    assert_eq!(code(operator.sign(&other)), "subject_wrong_kind");
    assert!(operator.sign(&key(KeyKind::Operator)).is_ok());
}

#[test]
fn both_ends_of_the_validity_are_included() {
    let claims = Claims::new(Actor::new("x"), key(KeyKind::Module).public_key(), 1).not_before(10).expires_at(20);
    for (now, code) in [(9, Some("claims_not_yet_valid")), (10, None), (20, None), (21, Some("claims_expired"))] {
        assert_eq!(claims.check_times(now).err().map(|error| error.code()), code, "at {now}");
    }
}
