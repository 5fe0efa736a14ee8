//! What a host and a provider in its process see of each other.
//!
//! The host knows no capability: it hands over operation and bytes. A provider knows no engine and no other provider.

use std::{any::Any, collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::{CallContext, ContractId, InvokeError, LinkDefinition, LinkKey, ProviderError, ProviderId};

/// A boxed future, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One call from an actor over a link.
#[derive(Debug, Clone)]
pub struct ProviderCall {
    /// The link it comes over: who calls, by which contract (and so in which dialect), with which values.
    pub link: Arc<LinkDefinition>,
    /// The operation, in the dialect's spelling.
    pub operation: Arc<str>,
    /// The request's bytes, in the dialect's encoding.
    pub payload: Bytes,
    /// Deadline, depth and trace.
    pub context: CallContext,
}

/// A running capability provider: one generation of it.
///
/// Order of calls, kept by the host: any number of `put_link`, `delete_link` and `handle` in any order and at the same
/// time; then `quiesce` once, during which `handle` may still be called; then `shutdown` once, after the last `handle`
/// has returned (unless the drain deadline passed first).
pub trait Provider: Send + Sync + 'static {
    /// Returns the contracts this provider serves, in every spelling it understands.
    fn contracts(&self) -> &[ContractId];

    /// Returns the operations that may run twice without harm, in every spelling it understands: those that only read.
    ///
    /// A caller on another host then tries another host when one does not answer.
    fn repeatable(&self) -> &[&'static str] {
        &[]
    }

    /// Accepts a link, or new values for one it has. Idempotent.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] when the values cannot be used, [`ProviderError::BackendUnavailable`] when what
    /// they name cannot be reached. The link then stays as it was.
    fn put_link(&self, link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// Forgets a link; its resources are freed once calls in flight are answered. Unknown links are not an error.
    fn delete_link<'a>(&'a self, key: &'a LinkKey) -> BoxFuture<'a, ()>;

    /// Answers one call of an actor.
    ///
    /// # Errors
    /// A [`ProviderError`]; the actor gets its text.
    ///
    /// # Cancel safety
    /// May be dropped at any await when the caller's deadline passes.
    fn handle(&self, call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>>;

    /// Checks that what is behind this provider can be reached. Called every few seconds, never on the hot path.
    ///
    /// # Errors
    /// Why it cannot.
    fn health(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async { Ok(()) })
    }

    /// Returns what a successor of the same kind can take over, such as listening sockets.
    ///
    /// Called at most once, when a successor is about to be made. This provider keeps working until `shutdown`.
    fn handover(&self) -> Option<Handover> {
        None
    }

    /// Stops taking work from outside (requests, messages) and finishes what was taken. Still answers `handle`.
    ///
    /// Bounded by the host's drain deadline, after which the future is dropped.
    fn quiesce(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Closes: frees sockets, connections and files. Bounded by the host's drain deadline, after which the future is
    /// dropped.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// What a provider leaves to its successor: anything both know the type of.
pub struct Handover(Box<dyn Any + Send>);

impl Handover {
    /// Wraps what is handed over.
    #[must_use]
    pub fn new<T: Any + Send>(value: T) -> Self {
        Self(Box::new(value))
    }

    /// Returns what was handed over, if it is a `T`: a successor of another kind gets `None`.
    #[must_use]
    pub fn take<T: Any + Send>(self) -> Option<T> {
        self.0.downcast().ok().map(|value| *value)
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

/// How a provider calls the actors linked to it.
pub trait ActorInvoker: Send + Sync + 'static {
    /// Calls the actor of `link`.
    ///
    /// # Errors
    /// [`InvokeError::LinkNotFound`] when the link is gone or names another provider, otherwise whatever the call met.
    ///
    /// # Cancel safety
    /// Dropping the future ends the call; the guest's instance is discarded.
    fn invoke<'a>(
        &'a self,
        link: &'a LinkKey,
        operation: &'a str,
        payload: Bytes,
        context: CallContext,
    ) -> BoxFuture<'a, Result<Bytes, InvokeError>>;
}

/// What a provider is given when it is made.
#[derive(Clone)]
pub struct ProviderContext {
    /// Its identity on this host.
    pub id: ProviderId,
    /// Configuration for all its links. May hold secrets.
    pub config: BTreeMap<String, String>,
    /// Its way to actors.
    pub actors: Arc<dyn ActorInvoker>,
}

impl fmt::Debug for ProviderContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderContext").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes providers of one kind.
pub trait ProviderFactory: Send + Sync + 'static {
    /// Makes one. `predecessor` is what the generation it replaces handed over.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for configuration it cannot use (unknown keys included), otherwise why it cannot
    /// come up. The predecessor then goes on serving.
    fn create(
        &self,
        context: ProviderContext,
        predecessor: Option<Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>>;
}
