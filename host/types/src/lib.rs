//! Identifiers, calls, links, control messages and errors shared by hosts, providers and tools.
//!
//! Synchronous and free of I/O. Knows no transport, no engine and no capability: a contract is a name here.
//! What goes over a wire has types of its own in [`control`], [`event`] and [`rpc`].

mod call;
pub mod control;
mod error;
pub mod event;
mod ids;
mod link;
mod provider;
pub mod replay;
pub mod rpc;
pub mod signed;
pub mod subject;

pub use call::{CallContext, Deadline, MAX_CALL_DEPTH};
pub use error::{ErrorKind, InvokeError, ProviderError};
pub use ids::{ActorId, ActorName, ContractId, HostId, IdError, IssuerId, LatticeId, LinkName, ProviderId};
pub use link::{LinkDefinition, LinkKey};
pub use provider::{ActorInvoker, BoxFuture, Handover, Provider, ProviderCall, ProviderContext, ProviderFactory};
pub use wattle_wascap as wascap;
