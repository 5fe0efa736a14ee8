use super::*;
use crate::{
    Actor, Archive, Compression, KeyKind, KeyPair, Provider, embed_token, extract_token, sign_archive, sign_module,
};

const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

fn signed_module(account: &KeyPair) -> Vec<u8> {
    let module = KeyPair::generate(KeyKind::Module).unwrap();
    sign_module(EMPTY, &Claims::new(Actor::new("a"), module.public_key(), 1).expires_at(10), account).unwrap()
}

fn codes(inspection: &Inspection) -> Vec<&'static str> {
    inspection.findings.iter().map(ClaimsError::code).collect()
}

#[test]
fn all_findings_are_listed_and_none_refused() {
    let account = KeyPair::generate(KeyKind::Account).unwrap();
    let signed = signed_module(&account);
    let moved = embed_token(&[EMPTY, &[1, 1, 0]].concat(), extract_token(&signed).unwrap()).unwrap();
    let inspection = inspect(&moved, 11, Some(&TrustPolicy::new())).unwrap();
    assert_eq!(codes(&inspection), ["claims_expired", "issuer_not_trusted", "module_hash_mismatch"]);
    assert_eq!((inspection.container, inspection.kind), (Container::Module, ClaimsKind::Actor));
    assert_eq!(inspection.claims.metadata.unwrap()["name"], "a");

    assert_eq!(codes(&inspect(&signed, 5, None).unwrap()), Vec::<&str>::new());
    assert_eq!(inspect(EMPTY, 5, None).unwrap_err().code(), "claims_missing");
}

#[test]
fn a_bare_token_tells_its_kind_by_its_subject() {
    let account = KeyPair::generate(KeyKind::Account).unwrap();
    let signed = signed_module(&account);
    let text = format!("{}\n", extract_token(&signed).unwrap());
    let inspection = inspect(text.as_bytes(), 5, None).unwrap();
    assert_eq!((inspection.container, inspection.kind), (Container::Token, ClaimsKind::Actor));
    assert_eq!(codes(&inspection), Vec::<&str>::new());
    assert_eq!(inspect(b"\xff", 5, None).unwrap_err().code(), "token_malformed");
}

#[test]
fn an_archive_lists_its_platforms() {
    let [account, provider] = [KeyKind::Account, KeyKind::Provider].map(|kind| KeyPair::generate(kind).unwrap());
    let archive = Archive { binaries: [("x86_64-linux".into(), b"elf"[..].into())].into(), world: None };
    let claims = Claims::new(Provider::new("kv", "a:b", "us"), provider.public_key(), 1);
    for compression in [Compression::None, Compression::Gzip] {
        let bytes = sign_archive(&archive, &claims, &account, compression).unwrap();
        let inspection = inspect(&bytes, 5, None).unwrap();
        assert_eq!((inspection.container, inspection.kind), (Container::Archive, ClaimsKind::Provider));
        assert_eq!(inspection.targets, ["x86_64-linux"]);
        assert_eq!(codes(&inspection), Vec::<&str>::new());
    }
}
