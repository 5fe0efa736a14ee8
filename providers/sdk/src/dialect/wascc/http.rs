//! `HandleRequest`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wattle_types::ProviderError;

use super::super::{
    HttpCodec,
    header::{OneValue, Pairs},
    http_response,
};
use crate::{HttpRequest, HttpResponse, codec};

pub(in crate::dialect) const CODEC: HttpCodec =
    HttpCodec { operation: "HandleRequest", encode_request, decode_response };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query_string: &'a str,
    header: OneValue<'a>,
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
}

/// The text in `status` ("OK") is not read: HTTP has no use for it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(alias = "status_code")]
    status_code: u32,
    #[serde(default)]
    header: Pairs,
    #[serde(borrow, default, with = "serde_bytes")]
    body: Cow<'a, [u8]>,
}

fn encode_request(request: &HttpRequest) -> Result<Bytes, ProviderError> {
    let wire = Request {
        method: &request.method,
        path: &request.path,
        query_string: &request.query,
        header: OneValue(&request.headers),
        body: &request.body,
    };
    codec::encode_sized(&wire, super::super::request_size(request))
}

fn decode_response(payload: &Bytes) -> Result<HttpResponse, ProviderError> {
    let wire: Response<'_> = codec::decode(payload)?;
    http_response(payload, wire.status_code, wire.header, wire.body)
}
