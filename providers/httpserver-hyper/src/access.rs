//! The access log: one line for each request.

use std::time::Duration;

use http::request::Parts;

use crate::router::Route;

/// What of an exchange is worth a line, besides its head.
pub(crate) struct Exchange<'a> {
    pub(crate) route: Option<&'a Route>,
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    pub(crate) took: Duration,
    /// The name of our error, if the answer is ours.
    pub(crate) error: Option<&'static str>,
}

/// Writes the line, unless the link or the subscriber wants none. The query may hold secrets and is left out.
pub(crate) fn log(parts: &Parts, exchange: &Exchange<'_>) {
    if exchange.route.is_some_and(|route| !route.settings.access_log) {
        return;
    }
    tracing::info!(
        target: "wattle::access",
        method = parts.method.as_str(),
        path = parts.uri.path(),
        status = exchange.status,
        bytes = exchange.body_bytes,
        duration_us = u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX),
        actor = exchange.route.map(|route| tracing::field::display(route.key.actor)),
        error = exchange.error,
    );
}
