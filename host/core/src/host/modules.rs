//! From a reference to a module that takes calls: fetched, verified, prepared.

use bytes::Bytes;
use wattle_runtime::{Interrupt, ModuleImage, PrepareStep};
use wattle_types::wascap::{ClaimsError, HashCheck, ModuleSeal, VerifiedModule};

use super::{Host, Inner, unix_now};
use crate::{
    actor::{ActorFacts, ActorModule},
    error::HostError,
    fetch::{self, FETCH_TIMEOUT, FetchError, Fetched},
    meter::Meter,
    steps::Steps,
    validity::Validity,
};

/// A module somebody wants to run. Nothing of it is verified.
pub(super) struct Module {
    reference: String,
    content: Content,
}

enum Content {
    /// All of it was read.
    Read(Fetched),
    /// Its file is as it was when it was read, and it is compiled.
    Known(ModuleSeal),
}

impl Module {
    /// Makes one of bytes that somebody has read.
    pub(super) fn of(bytes: Bytes, reference: &str) -> Self {
        Self { reference: reference.to_owned(), content: Content::Read(Fetched { bytes, file: None }) }
    }
}

/// A module whose claims hold.
pub(super) struct Verified {
    reference: String,
    claims: VerifiedModule,
    facts: ActorFacts,
    /// `None` as long as nobody needs them.
    bytes: Option<Bytes>,
}

impl Verified {
    /// Returns what its claims say.
    pub(super) const fn facts(&self) -> &ActorFacts {
        &self.facts
    }
}

impl Host {
    /// Reads the module `reference` names, if it has to be read.
    pub(super) async fn fetch_module(&self, reference: &str, steps: &Steps) -> Result<Module, HostError> {
        let content = match self.known_module(reference).await? {
            Some(seal) => {
                steps.done("fetched", "unchanged since it was read last");
                Content::Known(seal)
            }
            None => {
                let fetched = fetch::fetch(reference, &self.0.registries).await?;
                steps.done("fetched", format!("{} bytes", fetched.bytes.len()));
                Content::Read(fetched)
            }
        };
        Ok(Module { reference: reference.to_owned(), content })
    }

    /// Finds what is known of the module in a file, if all of it is that will be needed.
    async fn known_module(&self, reference: &str) -> Result<Option<ModuleSeal>, HostError> {
        let Some(path) = fetch::path(reference).map(ToOwned::to_owned) else { return Ok(None) };
        let inner = self.0.clone();
        let looking = blocking(move || {
            let seal = inner.known_modules.find(&path)?;
            inner.engine.has_compiled(*seal.hash().as_bytes()).then_some(seal)
        });
        // The file may be far away.
        let too_slow = |_| FetchError::TooSlow { reference: reference.to_owned(), limit: FETCH_TIMEOUT };
        tokio::time::timeout(FETCH_TIMEOUT, looking).await.map_err(too_slow)?
    }

    /// Checks a module's claims, and remembers the file it is in.
    pub(super) async fn verify(&self, module: Module, steps: &Steps) -> Result<Verified, HostError> {
        let inner = self.0.clone();
        let verified = match module.content {
            Content::Read(_) => blocking(move || verify(&inner, module)).await??,
            // Takes less than handing it to another thread.
            Content::Known(_) => verify(&inner, module)?,
        };
        steps.done("verified", format!("issuer {}", verified.claims.issuer()));
        Ok(verified)
    }

    /// Compiles a module, or finds it compiled, and lets an instance come up.
    pub(super) async fn prepare(&self, verified: Verified, steps: &Steps) -> Result<ActorModule, HostError> {
        let hash = *verified.claims.hash().as_bytes();
        let limits = || self.0.config.limits.clone();
        let told = steps.clone();
        let report = move |step: PrepareStep| told.done(step.name(), step.to_string());
        let found = match verified.bytes {
            Some(_) => None,
            None => self.0.engine.load(hash, limits(), report.clone()).await?,
        };
        let prepared = match found {
            Some(prepared) => prepared,
            None => {
                let wasm = self.bytes(&verified).await?;
                self.0.engine.prepare(ModuleImage { hash, wasm: &wasm }, limits(), report).await?
            }
        };
        Ok(ActorModule {
            facts: verified.facts,
            reference: verified.reference,
            prepared,
            interrupt: Interrupt::default(),
            meter: Meter::default(),
            validity: Validity::of(verified.claims.claims(), self.trust(), unix_now()),
        })
    }

    /// Returns a module's bytes; reads those of a known one after all, if what it was compiled to has just gone.
    async fn bytes(&self, verified: &Verified) -> Result<Bytes, HostError> {
        if let Some(bytes) = &verified.bytes {
            return Ok(bytes.clone());
        }
        let bytes = fetch::fetch(&verified.reference, &self.0.registries).await?.bytes;
        let read = bytes.clone();
        let seal = blocking(move || ModuleSeal::read(&read)).await??;
        if seal.hash() == verified.claims.hash() {
            return Ok(bytes);
        }
        let claimed = verified.claims.hash().to_string();
        Err(ClaimsError::ModuleHashMismatch { claimed, found: *seal.hash() }.into())
    }
}

fn verify(inner: &Inner, module: Module) -> Result<Verified, HostError> {
    let (seal, read) = match module.content {
        Content::Known(seal) => (seal, None),
        Content::Read(fetched) => (ModuleSeal::read(&fetched.bytes)?, Some(fetched)),
    };
    let claims = seal.verify(unix_now(), &inner.trust)?;
    match (&read, claims.hash_check()) {
        (Some(Fetched { file: Some(file), .. }), HashCheck::Matches) => {
            if let Some(path) = fetch::path(&module.reference) {
                inner.known_modules.remember(path, file, &seal);
            }
        }
        // Where the token does not tell the code, only the bytes do.
        (None, HashCheck::UnverifiableLegacy) => {
            let claimed = claims.claims().metadata().module_hash.clone();
            return Err(ClaimsError::ModuleHashUnverifiable { claimed, found: *seal.hash() }.into());
        }
        _ => {}
    }
    let bytes = read.map(|fetched| fetched.bytes);
    Ok(Verified { facts: facts(&claims)?, reference: module.reference, claims, bytes })
}

fn facts(claims: &VerifiedModule) -> Result<ActorFacts, HostError> {
    Ok(ActorFacts {
        id: claims.actor_id().try_into()?,
        issuer: claims.issuer().try_into()?,
        name: claims.name().map(ToOwned::to_owned),
        // Claims without a revision come before all that have one.
        revision: claims.revision().unwrap_or(0),
        version: claims.version().map(ToOwned::to_owned),
        call_alias: claims.call_alias().map(ToOwned::to_owned),
        capabilities: claims.capabilities().iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
    })
}

/// Runs what reads files or computes for long where nobody waits for the thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HostError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| HostError::Internal(error.to_string()))
}

// Elsewhere no file is known.
#[cfg(test)]
#[cfg(unix)]
mod tests;
