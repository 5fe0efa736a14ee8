//! A provider under test, with links to it and calls in either dialect.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::Value;
use wattle_types::{
    ActorInvoker, BoxFuture, CallContext, Deadline, Handover, InvokeError, LinkDefinition, LinkKey, Provider,
    ProviderCall, ProviderContext, ProviderError, ProviderFactory,
};

/// The actor that calls.
pub const ACTOR: &str = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP";

/// A deadline that no healthy provider misses.
const PATIENCE: Duration = Duration::from_secs(30);

/// A kind of provider to be tested, and what it needs to come up with nothing in it.
pub trait ProviderSubject: Send + Sync {
    /// Returns what makes it.
    fn factory(&self) -> &dyn ProviderFactory;

    /// Returns its configuration.
    fn config(&self) -> BTreeMap<String, String>;

    /// Returns the values of a link to it.
    fn values(&self) -> BTreeMap<String, String>;
}

/// A running provider.
#[derive(Clone)]
pub struct Rig {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    values: BTreeMap<String, String>,
}

/// These providers call no actor.
struct NoActors;

impl ActorInvoker for NoActors {
    fn invoke<'a>(
        &'a self,
        _link: &'a LinkKey,
        _operation: &'a str,
        _payload: Bytes,
        _context: CallContext,
    ) -> BoxFuture<'a, Result<Bytes, InvokeError>> {
        Box::pin(async { Err(InvokeError::Draining) })
    }
}

impl Rig {
    /// Starts a provider.
    ///
    /// # Errors
    /// Whatever the factory met.
    pub async fn start(subject: &impl ProviderSubject, predecessor: Option<Handover>) -> Result<Self, ProviderError> {
        Self::start_with(subject, subject.config(), predecessor).await
    }

    /// Starts a provider with a configuration of the test's.
    ///
    /// # Errors
    /// Whatever the factory met.
    ///
    /// # Panics
    /// Never.
    pub async fn start_with(
        subject: &impl ProviderSubject,
        config: BTreeMap<String, String>,
        predecessor: Option<Handover>,
    ) -> Result<Self, ProviderError> {
        let context = ProviderContext { id: "under-test".parse().unwrap(), config, actors: Arc::new(NoActors) };
        let provider = subject.factory().create(context, predecessor).await?;
        Ok(Self { provider, values: subject.values() })
    }

    /// Returns a link of the actor by `contract`, with the subject's values.
    ///
    /// # Panics
    /// When `contract` is no contract id.
    #[must_use]
    pub fn link(&self, contract: &str) -> LinkDefinition {
        LinkDefinition {
            key: LinkKey {
                actor: ACTOR.parse().unwrap(),
                contract: contract.parse().unwrap(),
                link_name: Default::default(),
            },
            provider: "under-test".parse().unwrap(),
            values: self.values.clone(),
        }
    }

    /// Puts the link of the actor by `contract`.
    ///
    /// # Errors
    /// Whatever the provider met.
    pub async fn put(&self, contract: &str) -> Result<(), ProviderError> {
        self.provider.put_link(self.link(contract).into()).await
    }

    /// Calls with raw bytes and a long deadline.
    ///
    /// # Errors
    /// Whatever the provider met.
    pub async fn call_raw(&self, contract: &str, operation: &str, payload: &[u8]) -> Result<Bytes, ProviderError> {
        self.handle(PATIENCE, contract, operation, Bytes::copy_from_slice(payload)).await
    }

    /// Calls with a JSON value, written and read as MessagePack, and a long deadline; no answer is `null`.
    ///
    /// # Errors
    /// Whatever the provider met.
    ///
    /// # Panics
    /// When the answer is not MessagePack.
    pub async fn call(&self, contract: &str, operation: &str, request: Value) -> Result<Value, ProviderError> {
        self.call_within(PATIENCE, contract, operation, request).await
    }

    /// Calls with a JSON value and a deadline after `wait`.
    ///
    /// # Errors
    /// Whatever the provider met.
    ///
    /// # Panics
    /// When the answer is not MessagePack.
    pub async fn call_within(
        &self,
        wait: Duration,
        contract: &str,
        operation: &str,
        request: Value,
    ) -> Result<Value, ProviderError> {
        let payload = if request.is_null() { Vec::new() } else { rmp_serde::to_vec_named(&request).unwrap() };
        let answer = self.handle(wait, contract, operation, payload.into()).await?;
        Ok(if answer.is_empty() { Value::Null } else { rmp_serde::from_slice(&answer).unwrap() })
    }

    async fn handle(
        &self,
        wait: Duration,
        contract: &str,
        operation: &str,
        payload: Bytes,
    ) -> Result<Bytes, ProviderError> {
        let call = ProviderCall {
            link: self.link(contract).into(),
            operation: operation.into(),
            payload,
            context: CallContext::new(Deadline::after(Instant::now(), wait)),
        };
        self.provider.handle(call).await
    }
}
