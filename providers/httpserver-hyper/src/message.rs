//! HTTP messages to and from the ones actors know.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{self},
    request::Parts,
};
use wattle_provider_sdk::{HttpRequest, HttpResponse};

use crate::failure::Failure;

/// Headers that belong to a connection, not to a message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Returns the host a request is for, without its port; empty when an old client gives none.
///
/// # Errors
/// A [`Failure`] when HTTP demands a host and there is none, more than one, or two different ones.
pub(crate) fn host(parts: &Parts) -> Result<&str, Failure> {
    let mut fields = parts.headers.get_all(header::HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (_, Some(_)) => return Err(Failure::bad_request("there is more than one Host header")),
        (Some(field), None) => Some(field.to_str().ok().filter(|host| is_host(host)).ok_or_else(no_host)?),
        (None, None) => None,
    };
    let authority = parts.uri.authority();
    if authority.is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Failure::bad_request("a target with a user is no target"));
    }
    match (authority, field) {
        // In HTTP/2 both come from the client; in HTTP/1.1 an old proxy may have left its own Host (RFC 9112, 3.2.2).
        (Some(authority), Some(field))
            if parts.version == Version::HTTP_2 && !authority.as_str().eq_ignore_ascii_case(field) =>
        {
            Err(Failure::bad_request("the Host header is not the authority that the request names"))
        }
        (None, None) | (Some(_), None) if parts.version == Version::HTTP_11 => {
            Err(Failure::bad_request("the Host header is missing"))
        }
        (Some(authority), _) => Ok(authority.host()),
        (None, Some(field)) => Ok(without_port(field)),
        (None, None) if parts.version < Version::HTTP_11 => Ok(""),
        (None, None) => Err(Failure::bad_request("the request names no authority")),
    }
}

fn no_host() -> Failure {
    Failure::bad_request("the Host header is no host name")
}

/// What RFC 3986 lets a host and a port consist of.
fn is_host(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte))
}

/// Checks that a target is a path, or the `*` of OPTIONS.
///
/// # Errors
/// The [`Failure`] of what is neither.
pub(crate) fn check_target(parts: &Parts) -> Result<(), Failure> {
    let path = parts.uri.path();
    if path.starts_with('/') || (path == "*" && parts.method == Method::OPTIONS) {
        return Ok(());
    }
    Err(Failure::bad_request("the request's target is no path"))
}

/// Checks how the body comes.
///
/// # Errors
/// The [`Failure`] of codings and expectations that are not met. Whether the body has a length, too, is not seen here.
pub(crate) fn check_transfer(parts: &Parts) -> Result<(), Failure> {
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (!coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some())
    {
        return Err(Failure::bad_request("the only Transfer-Encoding that is read is chunked, once"));
    }
    let is_met = |expected: &HeaderValue| expected.as_bytes().eq_ignore_ascii_case(b"100-continue");
    // Expectations are younger than HTTP/1.0.
    if parts.version >= Version::HTTP_11 && !parts.headers.get_all(header::EXPECT).iter().all(is_met) {
        return Err(Failure::expectation());
    }
    Ok(())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns the size of a request's target and headers, as HTTP/1.1 would write them.
pub(crate) fn head_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    parts.method.as_str().len() + target + headers
}

/// Makes what an actor gets: the same, however the client's version of HTTP spells it.
pub(crate) fn request(parts: &Parts, body: Bytes) -> HttpRequest {
    HttpRequest {
        method: parts.method.as_str().into(),
        path: parts.uri.path().into(),
        query: parts.uri.query().unwrap_or_default().into(),
        headers: headers(parts),
        body,
    }
}

/// Returns the headers of a request. The target's authority counts before a Host header (RFC 9112, 3.2.2), and several
/// Cookie headers are one, as applications know them (RFC 9113, 8.2.3).
fn headers(parts: &Parts) -> Vec<(String, String)> {
    let authority = parts.uri.authority();
    let mut headers: Vec<(String, String)> = Vec::with_capacity(parts.headers.len() + 1);
    if let Some(authority) = authority {
        headers.push((header::HOST.as_str().into(), authority.as_str().into()));
    }
    let mut cookies = None;
    for (name, value) in &parts.headers {
        if name == header::HOST && authority.is_some() {
            continue;
        }
        let value = text(value);
        if name == header::COOKIE {
            if let Some((_, known)) = cookies.and_then(|at: usize| headers.get_mut(at)) {
                known.push_str("; ");
                known.push_str(&value);
                continue;
            }
            cookies = Some(headers.len());
        }
        headers.push((name.as_str().into(), value));
    }
    headers
}

/// Returns a value as text. What is no UTF-8 is read as ISO-8859-1, as HTTP once said and Fetch still does: one
/// character for each byte, so that an actor that knows better can have them back.
fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), Into::into)
}

/// Makes what the client gets of an actor's answer.
///
/// # Errors
/// What of it is not HTTP.
pub(crate) fn response(answer: HttpResponse, method: &Method) -> Result<Response<Bytes>, String> {
    let status = StatusCode::from_u16(answer.status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| format!("the actor answered with status {}, which is none", answer.status))?;
    let bodyless = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    let keeps_length = *method == Method::HEAD && answer.body.is_empty();
    let mut response = Response::new(if bodyless { Bytes::new() } else { answer.body });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(answer.headers.len());
    for (name, value) in answer.headers {
        append(headers, &name, value, keeps_length)?;
    }
    Ok(response)
}

/// Makes the answer to HEAD of one to GET: hyper would leave the body in HTTP/2.
pub(crate) fn keep_length_only(response: &mut Response<Bytes>) {
    let body = std::mem::take(response.body_mut());
    if !body.is_empty() {
        response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: String, keeps_length: bool) -> Result<(), String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("the actor answered with a header called {:?}", name.escape_debug().to_string()))?;
    let value = HeaderValue::from_maybe_shared(Bytes::from(value))
        .map_err(|_| format!("the actor answered with a value of {name} that no header can have"))?;
    if HOP_BY_HOP.contains(&name.as_str()) {
        return Ok(());
    }
    if name == header::CONTENT_LENGTH {
        // The body's true length counts. An answer to HEAD has none, and may say what GET would have.
        let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        if let Some(length) = length.filter(|_| keeps_length) {
            headers.insert(name, length.into());
        }
        return Ok(());
    }
    headers.append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> HttpResponse {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        HttpResponse { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    fn refusal(status: u16, headers: &[(&str, &str)]) -> String {
        response(answer(status, headers, ""), &Method::GET).unwrap_err()
    }

    #[test]
    fn what_belongs_to_the_connection_is_dropped() {
        let headers = [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Content-Length", "99"), ("x", "1")];
        let response = response(answer(200, &headers, "body"), &Method::GET).unwrap();
        let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x"]);
    }

    #[test]
    fn only_an_answer_to_head_may_say_a_length() {
        let head = response(answer(200, &[("content-length", "99")], ""), &Method::HEAD).unwrap();
        assert_eq!(head.headers()["content-length"], "99");
        let lying = response(answer(200, &[("content-length", "x")], ""), &Method::HEAD).unwrap();
        assert!(lying.headers().is_empty());
    }

    #[test]
    fn several_values_of_a_header_stay_several() {
        let response =
            response(answer(200, &[("Set-Cookie", "a=1"), ("set-cookie", "b=2")], ""), &Method::GET).unwrap();
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn what_is_not_http_is_named() {
        assert_eq!(refusal(101, &[]), "the actor answered with status 101, which is none");
        assert_eq!(refusal(999, &[]), "the actor answered with status 999, which is none");
        assert!(refusal(200, &[("a b", "")]).contains("a header called \"a b\""));
        assert!(refusal(200, &[("", "")]).contains("a header called"));
        assert!(refusal(200, &[("x", "a\r\nevil: 1")]).contains("a value of x"));
    }

    #[test]
    fn a_host_is_compared_without_its_port() {
        for (text, host) in [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a:b", "a:b")] {
            assert_eq!(without_port(text), host, "{text}");
        }
    }
}
