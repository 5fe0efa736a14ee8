//! The wasm files inside the published crate: signed by tools of 2020 to 2023, and not at all.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wattle_wascap::{ClaimsError, HashCheck, TrustPolicy, inspect, verify_module};

use crate::now;

/// Finds the source of the published crate as cargo sees it, wherever that is.
fn crate_source() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap();
    let output = |arguments: &[&str]| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let mut command = Command::new(&cargo);
        command.args(arguments);
        if arguments[0] == "metadata" {
            command.args(["--manifest-path", manifest]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = output(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Other platforms' packages need not be here.
    let metadata = output(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package =
        packages.iter().find(|package| package["name"] == "wascap" && package["version"] == "0.16.2").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// Every wasm file in it, by name.
pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
    let source = crate_source();
    let entries = ["fixtures", "examples"].map(|folder| fs::read_dir(source.join(folder)).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    let wasm = paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    let mut files: Vec<_> =
        wasm.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// What verification says of one file when its issuer is trusted, with and without leniency for lost hash rules.
fn verdict(bytes: &[u8], lenient: bool) -> String {
    let said = inspect(bytes, now(), None);
    let policy = said.iter().fold(TrustPolicy::new().allow_unverifiable_legacy(lenient), |policy, inspection| {
        policy.trust_account(inspection.claims.issuer.parse().unwrap()).unwrap()
    });
    match verify_module(bytes, now(), &policy) {
        Ok(module) => {
            let check = if module.hash_check() == HashCheck::Matches { "verified" } else { "allowed unverified" };
            format!("{check}: {} {} {:?}", module.name().unwrap(), module.actor_id(), module.capabilities())
        }
        Err(error) => error.code().into(),
    }
}

#[test]
fn every_signed_file_is_read_and_judged() {
    const LOGGER: &str = r#"verified: Logger MAARQX72EAZ4T4ODYOQZED3FJ6P27KWWVVTUNV6TVX2VBRVVSUKLAQHP ["wasmcloud:httpserver", "wasmcloud:logging"]"#;
    const LOOP: &str = r#"verified: Secure Actor MBQ2RC3BARXFWTBFW5UJ6J3QSAVYJ7D64Z5LRCPR3UI44F65Q3OMNGYM ["wascc:keyvalue", "wascc:messaging", "wascc:http_client", "wascc:http_server"]"#;
    const ECHO: &str = r#"allowed unverified: Echo Messaging MDJ5BWS6JXSWOZL2ZENW2D4FBSHQ5ZMFGEGJB33TLKYKMXTLLAXINU36 ["wasmcloud:messaging", "wasmcloud:builtin:logging"]"#;
    let expected = [
        // 0.9.0 hashed function bodies and first data segments only: nothing of today reproduces that.
        ("echo_messaging_v0.9.0.wasm", "module_hash_unverifiable", ECHO),
        ("guest.component.wasm", "claims_missing", "claims_missing"),
        ("logger.wasm", LOGGER, LOGGER),
        ("loop.wasm", "claims_missing", "claims_missing"),
        ("signed_loop.wasm", LOOP, LOOP),
        ("wasi_snapshot_preview1.wasm", "claims_missing", "claims_missing"),
    ];
    let found = files();
    assert_eq!(found.len(), expected.len());
    for ((name, bytes), (expected_name, strict, lenient)) in found.iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert_eq!((verdict(bytes, false).as_str(), verdict(bytes, true).as_str()), (strict, lenient), "{name}");
    }
}

#[test]
fn none_of_their_issuers_is_trusted_unasked() {
    for (name, bytes) in files() {
        let refusal = verify_module(&bytes, now(), &TrustPolicy::new()).unwrap_err();
        assert!(matches!(refusal, ClaimsError::IssuerNotTrusted { .. } | ClaimsError::Missing), "{name}: {refusal}");
    }
}

#[test]
fn an_old_token_moved_to_another_module_is_refused() {
    let files = files();
    let get = |name: &str| &files.iter().find(|(found, _)| found == name).unwrap().1;
    let token = wattle_wascap::extract_token(get("signed_loop.wasm")).unwrap();
    let issuer = inspect(token.as_bytes(), now(), None).unwrap().claims.issuer;
    let policy = TrustPolicy::new().trust_account(issuer.parse().unwrap()).unwrap();
    let moved = wattle_wascap::embed_token(get("logger.wasm"), token).unwrap();
    // The published crate lets this pass: it compares no hashes before revision 3.
    assert!(wascap::wasm::extract_claims(&moved).unwrap().is_some());
    assert_eq!(verify_module(&moved, now(), &policy).unwrap_err().code(), "module_hash_unverifiable");
}
