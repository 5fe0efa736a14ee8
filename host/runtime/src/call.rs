//! One call of a guest, and what the guest may do outside its sandbox meanwhile.

use bytes::Bytes;
use wattle_types::{BoxFuture, Deadline};

use crate::Interrupt;

/// A request to a guest.
#[derive(Debug)]
pub struct GuestCall<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// The request's bytes.
    pub payload: Bytes,
    /// When the guest is ended.
    pub deadline: Deadline,
    /// Ends the guest earlier.
    pub interrupt: &'a Interrupt,
}

/// A guest's request to the outside. The three texts lie in the guest's own memory and are as it wrote them.
#[derive(Debug, Clone)]
pub struct HostCall<'a> {
    /// Name of the link, or empty. Guests of the oldest generations name none.
    pub binding: &'a str,
    /// A contract id, or for a call to an actor its key or call alias.
    pub namespace: &'a str,
    /// The operation's name.
    pub operation: &'a str,
    /// The request's bytes.
    pub payload: Bytes,
}

/// What one call of a guest may do outside its sandbox. One value serves one call.
pub trait HostCalls: Send + Sync + 'static {
    /// Serves a host call. The guest is suspended meanwhile, and no thread waits.
    ///
    /// The future is dropped at the guest's deadline, and when the guest is interrupted.
    ///
    /// # Errors
    /// A text for the guest that says why.
    fn call<'a>(&'a self, call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>>;

    /// Takes one line of the guest's log: bounded, valid UTF-8, free of control characters. Must not block.
    fn log(&self, line: &str);
}
