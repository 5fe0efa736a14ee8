//! A host for native tests of actors: a function that answers their host calls.
//!
//! ```
//! use wattle_actor::{KeyValue, msgpack, testing};
//!
//! let count = testing::with_host(
//!     |call| match (call.namespace, call.operation) {
//!         ("wasmcloud:keyvalue", "KeyValue.Increment") => Ok(msgpack::to_bytes(&7)),
//!         _ => Err("no such link".into()),
//!     },
//!     || KeyValue::new().increment("visits", 1),
//! );
//! assert_eq!(count.unwrap(), 7);
//! ```
//!
//! [`MemoryStore`] is such a function for the contract `wasmcloud:keyvalue`.

mod memory_store;

use std::cell::RefCell;

pub use memory_store::MemoryStore;

/// A host call, as the actor made it.
#[derive(Debug, Clone, Copy)]
pub struct HostCall<'a> {
    /// Link name; empty for calls to actors.
    pub binding: &'a str,
    /// Contract id, or the actor's key or call alias.
    pub namespace: &'a str,
    /// Operation.
    pub operation: &'a str,
    /// Payload.
    pub payload: &'a [u8],
}

type Answer = Box<dyn Fn(&HostCall<'_>) -> Result<Vec<u8>, String>>;

#[derive(Default)]
struct Host {
    answer: Option<Answer>,
    request: (Vec<u8>, Vec<u8>),
    response: Option<Result<Vec<u8>, String>>,
    log: Vec<String>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Runs `body` on this thread with a host that answers its host calls by `answer`.
pub fn with_host<T>(
    answer: impl Fn(&HostCall<'_>) -> Result<Vec<u8>, String> + 'static,
    body: impl FnOnce() -> T,
) -> T {
    HOST.with_borrow_mut(|host| *host = Host { answer: Some(Box::new(answer)), ..Host::default() });
    let result = body();
    HOST.with_borrow_mut(|host| host.answer = None);
    result
}

/// Makes one whole call through an actor's entry point, `__guest_call`, and returns its answer.
///
/// # Errors
/// The text the actor failed with.
pub fn guest_call(
    entry: extern "C" fn(usize, usize) -> i32,
    operation: &str,
    payload: &[u8],
) -> Result<Vec<u8>, String> {
    HOST.with_borrow_mut(|host| {
        host.request = (operation.into(), payload.into());
        host.response = None;
    });
    let status = entry(operation.len(), payload.len());
    match (status, HOST.with_borrow_mut(|host| host.response.take())) {
        (1, Some(Ok(response))) => Ok(response),
        (0, Some(Err(message))) => Err(message),
        (status, response) => Err(format!("the guest returned {status}, but answered {response:?}")),
    }
}

/// Returns the lines logged on this thread since the last look.
#[must_use]
pub fn take_log() -> Vec<String> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.log))
}

pub(crate) fn take_request() -> (Vec<u8>, Vec<u8>) {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.request))
}

pub(crate) fn put_answer(answer: Result<Vec<u8>, String>) {
    HOST.with_borrow_mut(|host| host.response = Some(answer));
}

pub(crate) fn put_log(text: &[u8]) {
    HOST.with_borrow_mut(|host| host.log.push(String::from_utf8_lossy(text).into_owned()));
}

pub(crate) fn host_call(call: &HostCall<'_>) -> Result<Vec<u8>, String> {
    // Taken out while it runs, so that it may itself call an actor.
    let Some(answer) = HOST.with_borrow_mut(|host| host.answer.take()) else {
        return Err("no host: wrap the test in wattle_actor::testing::with_host".into());
    };
    let result = answer(call);
    HOST.with_borrow_mut(|host| host.answer = Some(answer));
    result
}
