//! From a contract's operation and bytes to a call of its trait, in each dialect.

mod header;
mod keys;
#[cfg(test)]
mod tests;
mod wascc;
mod wasmcloud;

use std::borrow::Cow;

use bytes::Bytes;
use header::Pairs;
use wattle_types::{ActorId, ContractId, ProviderError};

use crate::{Dialect, HTTP_SERVER, HttpRequest, HttpResponse, KeyValue, Logging, NumberGen};

/// Operations of the key-value contract that only read, in both dialects' spelling.
pub(crate) const KEYVALUE_READS: &[&str] = &[
    "Get",
    "KeyExists",
    "KeyValue.Contains",
    "KeyValue.Get",
    "KeyValue.ListRange",
    "KeyValue.SetIntersection",
    "KeyValue.SetQuery",
    "KeyValue.SetUnion",
    "Range",
    "SetIntersection",
    "SetQuery",
    "SetUnion",
];

/// How HTTP is spoken to the actors of one dialect.
#[derive(Debug, Clone, Copy)]
pub struct HttpCodec {
    operation: &'static str,
    encode_request: fn(&HttpRequest) -> Result<Bytes, ProviderError>,
    decode_response: fn(&Bytes) -> Result<HttpResponse, ProviderError>,
}

impl HttpCodec {
    /// Returns the codec for a link's contract, or `None` when that is not the HTTP server contract.
    #[must_use]
    pub fn for_contract(contract: &ContractId) -> Option<Self> {
        Some(match HTTP_SERVER.dialect(contract)? {
            Dialect::Wasmcloud => wasmcloud::http::CODEC,
            Dialect::Wascc => wascc::http::CODEC,
        })
    }

    /// Returns the name of the operation an actor handles requests with.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Encodes a request for the actor.
    ///
    /// # Errors
    /// [`ProviderError::Failed`], which nothing in a request can cause.
    pub fn encode_request(&self, request: &HttpRequest) -> Result<Bytes, ProviderError> {
        (self.encode_request)(request)
    }

    /// Decodes an actor's answer. The body shares memory with `payload`.
    ///
    /// # Errors
    /// [`ProviderError::BadRequest`] when the bytes are no answer, or the status is not between 100 and 999.
    pub fn decode_response(&self, payload: &Bytes) -> Result<HttpResponse, ProviderError> {
        (self.decode_response)(payload)
    }
}

/// Carries one call out on a key-value store.
///
/// # Errors
/// [`ProviderError::UnknownOperation`], [`ProviderError::BadRequest`], or what the store met.
pub async fn handle_keyvalue<K: KeyValue>(
    store: &K,
    dialect: Dialect,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match dialect {
        Dialect::Wasmcloud => wasmcloud::keyvalue::handle(store, operation, payload).await,
        Dialect::Wascc => wascc::keyvalue::handle(store, operation, payload).await,
    }
}

/// Carries one call out on a log.
///
/// # Errors
/// [`ProviderError::UnknownOperation`], [`ProviderError::BadRequest`], or what the log met.
pub fn handle_logging<L: Logging>(
    log: &L,
    actor: &ActorId,
    dialect: Dialect,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match dialect {
        Dialect::Wasmcloud => wasmcloud::logging::handle(log, actor, operation, payload),
        Dialect::Wascc => wascc::logging::handle(log, actor, operation, payload),
    }
}

/// Carries one call out on a source of numbers.
///
/// # Errors
/// [`ProviderError::UnknownOperation`], [`ProviderError::BadRequest`], or what the source met.
pub fn handle_numbergen<N: NumberGen>(
    numbers: &N,
    dialect: Dialect,
    operation: &str,
    payload: &[u8],
) -> Result<Bytes, ProviderError> {
    match dialect {
        Dialect::Wasmcloud => wasmcloud::numbergen::handle(numbers, operation, payload),
        Dialect::Wascc => wascc::numbergen::handle(numbers, operation, payload),
    }
}

fn unknown_operation(contract: &str, operation: &str) -> ProviderError {
    ProviderError::UnknownOperation { contract: contract.into(), operation: operation.chars().take(80).collect() }
}

/// A counter as the contract's 32 bits. The store counts in 64 and has already counted.
fn counter(sum: i64) -> Result<i32, ProviderError> {
    i32::try_from(sum).map_err(|_| ProviderError::Failed(format!("the counter is {sum}, which does not fit 32 bits")))
}

/// A guess at the encoded size of a request, to allocate once.
fn request_size(request: &HttpRequest) -> usize {
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    128 + request.path.len() + request.query.len() + headers + request.body.len()
}

/// Makes an answer of what was read from `payload`, whose memory the body goes on using.
fn http_response(
    payload: &Bytes,
    status: u32,
    headers: Pairs,
    body: Cow<'_, [u8]>,
) -> Result<HttpResponse, ProviderError> {
    let status = u16::try_from(status)
        .ok()
        .filter(|status| (100..1000).contains(status))
        .ok_or_else(|| ProviderError::BadRequest(format!("status {status} is not between 100 and 999")))?;
    let body = match body {
        Cow::Borrowed(body) => payload.slice_ref(body),
        Cow::Owned(body) => body.into(),
    };
    Ok(HttpResponse { status, headers: headers.0, body })
}
