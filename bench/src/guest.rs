//! The guests that are measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wattle_lattice_tests::{Guest, ThirdParty};
use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, PublicKey, sign_module};

/// Returns an echo guest made with the published crate `wapc-guest`, the same for all contestants.
pub(crate) fn echo() -> Result<Vec<u8>> {
    let file = ThirdParty::here().bring(Guest::WapcGuest1, &|step| eprintln!("{step}"))?;
    std::fs::read(&file).with_context(|| file.display().to_string())
}

/// Returns our signed hello actor and the account that signed it.
pub(crate) fn hello() -> Result<(Vec<u8>, String)> {
    let dir = actors_dir();
    let read = |name: &str| {
        let file = dir.join(name);
        std::fs::read(&file).with_context(|| format!("{}: run `cargo xtask build-actors`", file.display()))
    };
    let issuer = String::from_utf8(read("issuer.pub")?)?;
    Ok((read("hello.wasm")?, issuer.trim().to_owned()))
}

/// Returns the echo guest, signed as an actor, and the account that signed it.
pub(crate) fn signed_echo() -> Result<(Vec<u8>, PublicKey)> {
    let (account, module) = (KeyPair::generate(KeyKind::Account)?, KeyPair::generate(KeyKind::Module)?);
    let claims = Claims::new(Actor::new("echo"), module.public_key(), 0);
    Ok((sign_module(&echo()?, &claims, &account)?, account.public_key()))
}

fn actors_dir() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/actors");
    std::env::var_os("WATTLE_ACTORS_DIR").map_or(checkout, PathBuf::from)
}
