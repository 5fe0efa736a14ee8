//! One request: find its route, read it, call the actor, answer.

use std::{convert::Infallible, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Version, header, request::Parts};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::time::timeout_at;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wattle_types::{CallContext, Deadline};

use crate::{
    access::{self, Exchange},
    body,
    budget::Share,
    connection::{Activity, Sent},
    failure::Failure,
    listener::Listener,
    message,
    router::Route,
};

/// How often a route may turn out to be of a generation that just ended.
const LOOKUPS_MAX: usize = 4;
/// Longest trace context passed on; a valid one of today has 55 bytes.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// A route, and the token that keeps its generation waiting for this request.
struct Claimed {
    route: Arc<Route>,
    _in_flight: TaskTrackerToken,
}

/// Answers one request.
pub(crate) async fn serve(
    listener: &Listener,
    activity: &Arc<Activity>,
    max_header_bytes: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Sent>>, Infallible> {
    let started = tokio::time::Instant::now().into_std();
    let (parts, body) = request.into_parts();
    let http2 = parts.version == Version::HTTP_2;
    let in_flight = activity.request(http2);
    let checked = if in_flight.is_unclear { Err(Failure::two_lengths()) } else { check_head(&parts, max_header_bytes) };
    let claimed = checked.and_then(|()| claim(listener, &parts));
    let (route, outcome) = match claimed {
        Ok(claimed) => {
            let outcome = answer(&claimed.route, &parts, body, started).await;
            (Some(claimed), outcome)
        }
        Err(failure) => (None, Err(failure)),
    };
    let error = outcome.as_ref().err().map(Failure::code);
    let closes = outcome.as_ref().is_err_and(|failure| failure.closes);
    let (mut response, share) = match outcome {
        Ok((response, share)) => (response, Some(share)),
        Err(failure) => (failure.response(), None),
    };
    if parts.method == Method::HEAD {
        message::keep_length_only(&mut response);
    }
    if !http2 && (closes || listener.is_closing()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let exchange = Exchange {
        route: route.as_ref().map(|claimed| &*claimed.route),
        status: response.status().as_u16(),
        body_bytes: response.body().len() as u64,
        took: started.elapsed(),
        error,
    };
    access::log(&parts, &exchange);
    Ok(response.map(|body| Full::new(Sent::new(body, share, Arc::clone(activity)))))
}

fn check_head(parts: &Parts, max_header_bytes: usize) -> Result<(), Failure> {
    if parts.method == Method::CONNECT {
        return Err(Failure::no_proxy());
    }
    message::check_target(parts)?;
    message::check_transfer(parts)?;
    if message::head_bytes(parts) > max_header_bytes {
        return Err(Failure::head_too_large(max_header_bytes));
    }
    Ok(())
}

/// Finds the route and joins its generation. A generation that ends publishes a table without itself *before* it
/// closes its tracker and waits: whoever meets a closed tracker looks again and finds the successor.
fn claim(listener: &Listener, parts: &Parts) -> Result<Claimed, Failure> {
    let host = message::host(parts)?;
    for _ in 0..LOOKUPS_MAX {
        let table = listener.table().load();
        let route = table.router.find(host, parts.uri.path()).ok_or_else(Failure::no_route)?;
        let in_flight = route.in_flight.token();
        if !route.in_flight.is_closed() {
            return Ok(Claimed { route: Arc::clone(route), _in_flight: in_flight });
        }
    }
    Err(Failure::draining())
}

/// Returns the actor's answer, and the share that is to be kept as long as it.
async fn answer(
    route: &Route,
    parts: &Parts,
    body: Incoming,
    started: Instant,
) -> Result<(Response<Bytes>, Share), Failure> {
    let settings = &route.settings;
    let deadline = Deadline::after(started, settings.timeout);
    let latest = deadline.instant().into();
    // Kept to the end: what the actor is given is as large again.
    let mut share = route.bodies.share();
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        timeout_at(latest, body::read(body, settings.max_body_bytes, &mut share))
            .await
            .map_err(|_| Failure::body_too_slow(route))?
            .map_err(|error| Failure::body(&error, settings.max_body_bytes))?
    };
    let request = message::request(parts, body);
    let payload = route
        .codec
        .encode_request(&request)
        .map_err(|error| Failure::invoke(route, &wattle_types::InvokeError::Internal { message: error.to_string() }))?;
    drop(request);
    let asked = payload.len();
    let repeatable = parts.method.is_idempotent();
    let context = CallContext { traceparent: traceparent(parts), repeatable, ..CallContext::new(deadline) };
    let call = route.actors.invoke(&route.key, route.codec.operation(), payload, context);
    let payload = timeout_at(latest, call)
        .await
        .map_err(|_| Failure::too_slow(route))?
        .map_err(|error| Failure::call(route, &error, asked))?;
    // Of all of it: the answer's body is a part of it, and keeps the whole.
    let mut unread = route.answers.share();
    unread.take(payload.len()).map_err(|exhausted| Failure::unread(route, payload.len(), &exhausted, repeatable))?;
    let answer = route
        .codec
        .decode_response(&payload)
        .map_err(|error| Failure::bad_response(route, &format!("the actor's answer cannot be used: {error}")))?;
    let response = message::response(answer, &parts.method).map_err(|what| Failure::bad_response(route, &what))?;
    Ok((response, unread))
}

fn traceparent(parts: &Parts) -> Option<Arc<str>> {
    let value = parts.headers.get("traceparent")?.to_str().ok()?;
    (value.len() <= TRACEPARENT_BYTES_MAX).then(|| value.into())
}
