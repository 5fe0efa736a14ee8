//! HTTP as an actor sees it, the same in every dialect.

use bytes::Bytes;

/// A request on its way to an actor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpRequest {
    /// The method, in upper case.
    pub method: String,
    /// The path, starting with `/`, still percent-encoded.
    pub path: String,
    /// The query without its `?`; empty when there is none.
    pub query: String,
    /// Names and values in the order received. A name may occur more than once.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// An actor's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// The status code, 100 to 999.
    pub status: u16,
    /// Names and values as the actor gave them: **not** checked to be valid HTTP.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}
