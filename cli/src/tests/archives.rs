//! `wattle par`: what is packed, and what is refused.

use wattle_wascap::{TrustPolicy, current_target, verify_archive};

use super::rig::{NOW, Rig, golden};

const CREATE: [&str; 10] =
    ["par", "create", "greeter", "--name", "Greeter", "--cap", "example:greeter", "--vendor", "Example", "--target"];

fn rig() -> Rig {
    let rig = Rig::new();
    rig.file("greeter", b"\x7fELF for x86");
    rig.file("greeter.arm", b"\x7fELF for arm");
    rig
}

/// Returns the programs of an archive whose claims hold for them.
fn programs(rig: &Rig, file: &str, issuer: &str) -> Vec<(String, Vec<u8>)> {
    let packed = std::fs::read(rig.path(file)).unwrap();
    let trust = TrustPolicy::new().trust_account(issuer.parse().unwrap()).unwrap();
    let archive = verify_archive(&packed, NOW, &trust).unwrap();
    let program = |target: &str| (target.to_owned(), archive.binary(target).unwrap().to_vec());
    archive.targets().map(program).collect()
}

#[tokio::test]
async fn an_archive_is_created_inspected_and_extended() {
    let rig = rig();
    golden("par-create", &rig.run(&[&CREATE[..], &["x86_64-linux", "--rev", "2"]].concat()).await);
    golden("par-inspect", &rig.run(&["par", "inspect", "greeter.par.gz", "--strict"]).await);
    let insert = ["par", "insert", "greeter.par.gz", "greeter.arm", "--target", "aarch64-linux"];
    golden("par-insert", &rig.run(&insert).await);

    let shown = rig.run(&["par", "inspect", "greeter.par.gz", "-o", "json"]).await.json();
    assert_eq!((&shown["valid"], &shown["claims"]["wascap"]["rev"]), (&true.into(), &2.into()));
    let programs = programs(&rig, "greeter.par.gz", shown["claims"]["iss"].as_str().unwrap());
    let expected = [("aarch64-linux", "\x7fELF for arm"), ("x86_64-linux", "\x7fELF for x86")];
    assert_eq!(programs, expected.map(|(target, bytes)| (target.to_owned(), bytes.as_bytes().to_vec())));
}

#[tokio::test]
async fn a_plain_archive_stays_plain_and_a_program_is_replaced() {
    let rig = rig();
    let made = rig.run(&[&CREATE[..], &[&current_target(), "--out", "plain.par", "-o", "json"]].concat()).await.json();
    let replaced = rig.run(&["par", "insert", "plain.par", "greeter.arm", "-o", "json"]).await.json();
    assert_eq!(made["provider"], replaced["provider"]);
    let issuer = made["issuer"].as_str().unwrap();
    assert_eq!(programs(&rig, "plain.par", issuer), [(current_target(), b"\x7fELF for arm".to_vec())]);
    assert_eq!(std::fs::read(rig.path("plain.par")).unwrap()[..10], *b"claims.jwt");
}

#[tokio::test]
async fn what_cannot_be_packed_is_named() {
    let rig = rig();
    assert_eq!(rig.run(&[&CREATE[..], &["x86_64-linux"]].concat()).await.code, 0);
    assert_eq!(rig.run(&["keys", "gen", "account", "--name", "other"]).await.code, 0);
    let insert = ["par", "insert", "greeter.par.gz", "greeter.arm"];
    golden("mistake-par-foreign", &rig.run(&[&insert[..], &["--issuer", "other"]].concat()).await);
    golden("mistake-par-target", &rig.run(&[&CREATE[..], &["x86/../linux"]].concat()).await);
    golden("mistake-par-no-archive", &rig.run(&["par", "insert", "greeter", "greeter.arm"]).await);
}
