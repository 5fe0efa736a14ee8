//! What one host asks another, and who answers it.

use bytes::Bytes;
use wattle_types::{ActorId, BoxFuture, CallContext, HostId, LinkKey, ProviderId};

use super::Refusal;

/// Who calls, as the calling host vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An actor that runs there.
    Actor(ActorId),
    /// A provider that runs there.
    Provider(ProviderId),
    /// The host itself, for an operator.
    Host,
}

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An actor.
    Actor {
        /// Which one.
        actor: ActorId,
        /// The link, when a provider calls.
        link: Option<LinkKey>,
    },
    /// A provider, over a link.
    Provider {
        /// The link.
        link: LinkKey,
        /// Which one.
        provider: ProviderId,
    },
}

/// A call that another host is to carry out.
#[derive(Debug, Clone)]
pub struct RemoteCall {
    /// Who calls.
    pub origin: Origin,
    /// Who is called.
    pub target: Target,
    /// What for, in the target's spelling. At most 1,024 bytes.
    pub operation: String,
    /// The request's bytes.
    pub payload: Bytes,
    /// Deadline, depth and trace. The depth is already that of this call; a trace longer than 128 bytes is left out.
    pub context: CallContext,
}

/// Carries out calls of other hosts.
pub trait Serve: Send + Sync + 'static {
    /// Carries out one call. `from` is proven; who calls there is what that host says.
    ///
    /// The future is dropped when the call's deadline passes.
    ///
    /// # Errors
    /// What the caller is told.
    fn serve(&self, from: HostId, call: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>>;
}
