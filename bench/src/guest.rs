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

/// Returns one of our signed example actors and the account that signed it.
pub(crate) fn example(name: &str) -> Result<(Vec<u8>, String)> {
    let dir = actors_dir();
    let read = |name: String| {
        let file = dir.join(name);
        std::fs::read(&file).with_context(|| format!("{}: run `cargo xtask build-actors`", file.display()))
    };
    let issuer = String::from_utf8(read("issuer.pub".to_owned())?)?;
    Ok((read(format!("{name}.wasm"))?, issuer.trim().to_owned()))
}

/// Returns a guest of `bench/guests`, not signed.
pub(crate) fn heavy(name: &str) -> Result<Vec<u8>> {
    let file = folder().join(name).with_extension("wasm");
    std::fs::read(&file).with_context(|| format!("{}: run by way of `cargo xtask bench`", file.display()))
}

/// Returns where `cargo xtask bench` leaves the guests of `bench/guests`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-guests")
}

/// Signs guests as actors, each with a subject of its own.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(KeyPair::generate(KeyKind::Account)?))
    }

    /// Returns the account all are signed by.
    pub(crate) fn issuer(&self) -> PublicKey {
        self.0.public_key()
    }

    pub(crate) fn sign(&self, wasm: &[u8], name: &str, capabilities: &[&str]) -> Result<Vec<u8>> {
        let module = KeyPair::generate(KeyKind::Module)?;
        let actor = capabilities.iter().fold(Actor::new(name), |actor, contract| actor.capability(*contract));
        Ok(sign_module(wasm, &Claims::new(actor, module.public_key(), 0), &self.0)?)
    }
}

/// Returns the module with a section of its own: another module, which is compiled and kept for itself.
pub(crate) fn distinct(wasm: &[u8], number: usize) -> Vec<u8> {
    let content = [b"\x05bench".as_slice(), format!("{number:08}").as_bytes()].concat();
    [wasm, &[0, content.len() as u8], &content].concat()
}

/// Returns the echo guest, signed as an actor, and the account that signed it.
pub(crate) fn signed_echo() -> Result<(Vec<u8>, PublicKey)> {
    let signer = Signer::new()?;
    Ok((signer.sign(&echo()?, "echo", &[])?, signer.issuer()))
}

fn actors_dir() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/actors");
    std::env::var_os("WATTLE_ACTORS_DIR").map_or(checkout, PathBuf::from)
}
