//! Development keys: made at the first build, kept where only their owner reads, never shipped.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, PublicKey, sign_module};

use super::recipe::Recipe;
use crate::workspace::Workspace;

/// The account that issues all modules, and the folder with each module's own key.
pub(super) struct Keys {
    dir: PathBuf,
    account: KeyPair,
}

impl Keys {
    /// Reads the account's key, or makes it.
    pub(super) fn open(workspace: &Workspace) -> Result<Self> {
        let dir = workspace.state().join("keys");
        fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let account = load_or_make(&dir.join("account.seed"), KeyKind::Account)?;
        Ok(Self { dir, account })
    }

    /// Returns the account's public key.
    pub(super) fn issuer(&self) -> PublicKey {
        self.account.public_key()
    }

    /// Signs a module for ever with the claims of its recipe.
    pub(super) fn sign(&self, recipe: &Recipe, wasm: &[u8]) -> Result<Vec<u8>> {
        let file = self.dir.join(format!("module-{}.seed", recipe.key.replace('/', "-")));
        let subject = load_or_make(&file, KeyKind::Module)?.public_key();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?;
        let claims = Claims::new(metadata(recipe), subject, now.as_secs());
        Ok(sign_module(wasm, &claims, &self.account)?)
    }
}

fn metadata(recipe: &Recipe) -> Actor {
    let mut actor = Actor::new(&recipe.title).revision(recipe.revision).version(&recipe.version);
    for capability in &recipe.capabilities {
        actor = actor.capability(capability);
    }
    match &recipe.alias {
        Some(alias) => actor.call_alias(alias),
        None => actor,
    }
}

fn load_or_make(file: &Path, kind: KeyKind) -> Result<KeyPair> {
    let named = || format!("{} (delete it to get a new key)", file.display());
    let pair = match fs::read_to_string(file) {
        Ok(seed) => KeyPair::from_seed(&seed).with_context(named)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let pair = KeyPair::generate(kind)?;
            write_private(file, &pair.seed()).with_context(named)?;
            pair
        }
        Err(error) => return Err(error).with_context(named),
    };
    pair.public_key().expect_kind(kind).with_context(named)?;
    Ok(pair)
}

/// Makes a file only its owner can read, from the first moment on.
fn write_private(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(writeln!(options.open(file)?, "{text}")?)
}
