//! Answers that are ours and not an actor's: why there is none of it, as JSON.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use wattle_types::{ErrorKind, InvokeError};

use crate::{body::BodyError, budget::Exhausted, router::Route};

/// Why a request gets no answer from an actor.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// Boxed: failures are rare, and every request's future would hold it.
    body: Box<FailureBody>,
    retry: bool,
    /// Whether the connection cannot go on, because the request was not read to its end.
    pub(crate) closes: bool,
}

/// The body of an error, field for field.
#[derive(Debug, Default, Serialize)]
struct FailureBody {
    error: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Failure {
    fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        let body = Box::new(FailureBody { error, message: message.into(), ..FailureBody::default() });
        Self { status, body, retry: false, closes: false }
    }

    fn remedy(mut self, remedy: &str) -> Self {
        self.body.remedy = Some(remedy.into());
        self
    }

    /// Returns the stable name of the error.
    pub(crate) const fn code(&self) -> &'static str {
        self.body.error
    }

    /// No link serves this host and path. Which others there are is nobody's business.
    pub(crate) fn no_route() -> Self {
        const REMEDY: &str = "link an actor to this address and path: \
                              wattle link put ACTOR PROVIDER wasmcloud:httpserver address=HOST:PORT path=PATH";
        Self::new(StatusCode::NOT_FOUND, "route_not_found", "no actor is linked to this host and path").remedy(REMEDY)
    }

    /// The server is being stopped.
    pub(crate) fn draining() -> Self {
        let failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "the server is shutting down");
        Self { retry: true, ..failure }
    }

    /// The request is not HTTP as it should be.
    pub(crate) fn bad_request(message: &str) -> Self {
        // Who sends this may mean something else by what follows.
        Self { closes: true, ..Self::new(StatusCode::BAD_REQUEST, "request_invalid", message) }
    }

    /// The request's end can be understood in two ways.
    pub(crate) fn two_lengths() -> Self {
        Self::bad_request("the request has both Content-Length and Transfer-Encoding")
    }

    /// The client demands something that this server does not do.
    pub(crate) fn expectation() -> Self {
        let message = "the only expectation that is met is 100-continue";
        Self { closes: true, ..Self::new(StatusCode::EXPECTATION_FAILED, "expectation_failed", message) }
    }

    /// CONNECT asks for a proxy.
    pub(crate) fn no_proxy() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "method_not_supported", "this server is no proxy")
    }

    /// The request's head is too long.
    pub(crate) fn head_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            format!("the request's target and headers exceed the limit of {limit} bytes"),
        )
    }

    /// The request's body did not come.
    pub(crate) fn body(error: &BodyError, limit: usize) -> Self {
        let failure = match error {
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                format!("the request's body exceeds the limit of {limit} bytes"),
            ),
            BodyError::NoRoom(Exhausted { total }) => Self {
                retry: true,
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "overloaded",
                    format!("the server holds bodies of other requests up to its limit of {total} bytes"),
                )
                .remedy("try again later, or give the HTTP server's configuration more: max_buffered_bytes=BYTES")
            },
            BodyError::Broken(error) => {
                tracing::debug!(%error, "a request's body broke off");
                Self::bad_request("the request's body broke off")
            }
        };
        Self { closes: true, ..failure }
    }

    /// The request's body did not come in time.
    pub(crate) fn body_too_slow(route: &Route) -> Self {
        let ms = route.settings.timeout.as_millis();
        let message = format!("the request's body did not arrive within {ms} ms");
        Self { closes: true, ..Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message) }
    }

    /// The actor did not answer in time.
    pub(crate) fn too_slow(route: &Route) -> Self {
        let message = format!("the actor did not answer within {} ms", route.settings.timeout.as_millis());
        Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", message)
            .about(route, None)
            .remedy("see what is slow with: wattle spy; or give the link more than this: timeout_ms=MS")
    }

    /// The actor's answer is not HTTP.
    pub(crate) fn bad_response(route: &Route, what: &str) -> Self {
        tracing::debug!(actor = %route.key.actor, what, "an actor's answer is no HTTP response");
        let message = if route.settings.error_details { what } else { "the actor's answer is no HTTP response" };
        Self::new(StatusCode::BAD_GATEWAY, "response_invalid", message).about(route, None)
    }

    /// There is no room for the actor's answer of `size` bytes beside those that clients have yet to read.
    pub(crate) fn unread(route: &Route, size: usize, Exhausted { total }: &Exhausted, repeatable: bool) -> Self {
        if size > *total {
            return Self::call(route, &InvokeError::PayloadTooLarge { size, limit: *total }, 0);
        }
        // What was asked for is done, and proxies take a 503 for permission to send it again.
        let status = if repeatable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        let message =
            format!("the server holds answers that other clients have yet to read up to its limit of {total} bytes");
        let failure = Self::new(status, "overloaded", message)
            .about(route, None)
            .remedy("try again later, or give the HTTP server's configuration more: max_unread_bytes=BYTES");
        Self { retry: repeatable, ..failure }
    }

    /// The call failed, of which `asked` bytes were the actor's to read.
    ///
    /// A payload over the limit is the client's fault if it is the one that was asked with, and else the actor's.
    pub(crate) fn call(route: &Route, error: &InvokeError, asked: usize) -> Self {
        match *error {
            InvokeError::PayloadTooLarge { size, limit } if asked <= limit => {
                let message = format!("the actor's answer of {size} bytes exceeds the limit of {limit}");
                Self::new(StatusCode::BAD_GATEWAY, "response_too_large", message)
                    .about(route, None)
                    .remedy("ask the actor for less at once; what it answers must fit the limit, headers included")
            }
            _ => Self::invoke(route, error),
        }
    }

    /// The call failed. If the actor failed because what it needs is missing, that is what the client hears of.
    pub(crate) fn invoke(route: &Route, error: &InvokeError) -> Self {
        let root = error.root();
        let cause = if root.kind() == ErrorKind::Unavailable { root } else { error };
        if cause.kind() == ErrorKind::Internal {
            tracing::error!(actor = %route.key.actor, %error, "a call failed");
        } else {
            tracing::debug!(actor = %route.key.actor, %error, "a call failed");
        }
        let status = status_of(cause);
        let failure = Self::new(status, cause.code(), message_of(cause, route.settings.error_details));
        let retry = matches!(cause.code(), "overloaded" | "draining");
        Self { retry, ..failure.about(route, Some(cause)) }
    }

    /// Adds whom and what the failure concerns.
    fn about(mut self, route: &Route, cause: Option<&InvokeError>) -> Self {
        let link = cause.and_then(InvokeError::link);
        let key = link.unwrap_or(&route.key);
        self.body.contract = Some(key.contract.to_string());
        self.body.link = Some(key.link_name.to_string());
        self.body.actor = Some(key.actor.to_string());
        self.body.provider = match cause {
            Some(InvokeError::ProviderUnavailable { provider, .. } | InvokeError::ProviderFailed { provider, .. }) => {
                Some(provider.to_string())
            }
            _ if link.is_none() => Some(route.provider.to_string()),
            _ => None,
        };
        self.body.remedy = cause.and_then(InvokeError::remedy);
        self
    }

    /// Makes the response.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let mut body = serde_json::to_vec(&self.body).unwrap_or_default();
        // For terminals.
        body.push(b'\n');
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What a failed call is in HTTP. What claims or policy deny the *actor* is no fault of the client: 500, not 403.
///
/// A call whose outcome nobody knows is a 502: proxies take a 503 for permission to send it again.
fn status_of(error: &InvokeError) -> StatusCode {
    match error.code() {
        "deadline_exceeded" => StatusCode::GATEWAY_TIMEOUT,
        "outcome_unknown" => StatusCode::BAD_GATEWAY,
        "payload_too_large" if !matches!(error, InvokeError::ProviderFailed { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => match error.kind() {
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Caller | ErrorKind::Denied | ErrorKind::Guest | ErrorKind::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        },
    }
}

/// The error in words for a client. With `details` off, nothing a guest or a back end said.
fn message_of(error: &InvokeError, details: bool) -> String {
    match error {
        InvokeError::Internal { .. } => "the host failed; its log says why".into(),
        InvokeError::GuestFailed { .. } if !details => "the actor answered with an error".into(),
        InvokeError::GuestTrapped { .. } if !details => "the actor was stopped".into(),
        InvokeError::ProviderFailed { provider, operation, .. } if !details => {
            format!("provider {provider} failed at {operation}")
        }
        _ => error.to_string(),
    }
}
