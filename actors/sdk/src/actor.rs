//! Calls out: over a link to a provider, or to another actor.

use crate::{FromPayload, IntoPayload, Result, host};

/// A named link to a provider of one contract: what the typed clients are made of.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    contract: &'a str,
    name: &'a str,
}

impl<'a> Link<'a> {
    /// Names the link `name` of `contract`. Nothing is checked before the first call.
    #[must_use]
    pub const fn new(contract: &'a str, name: &'a str) -> Self {
        Self { contract, name }
    }

    /// Calls `operation` of the provider behind the link.
    ///
    /// # Errors
    /// When the host refuses or the provider fails, in the host's words; when the answer is not an `O`.
    pub fn call<O: FromPayload>(&self, operation: &str, payload: impl IntoPayload) -> Result<O> {
        O::from_payload(host::call(self.name, self.contract, operation, &payload.into_payload())?)
    }
}

/// Calls `operation` of another actor, named by its public key (`M...`) or its call alias.
///
/// # Errors
/// When there is no such actor or it fails, in the host's words; when its answer is not an `O`.
pub fn call<O: FromPayload>(target: &str, operation: &str, payload: impl IntoPayload) -> Result<O> {
    O::from_payload(host::call("", target, operation, &payload.into_payload())?)
}
