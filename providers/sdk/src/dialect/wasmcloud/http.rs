//! `HttpServer.HandleRequest`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wattle_types::ProviderError;

use super::super::{
    HttpCodec,
    header::{ManyValues, Pairs},
    http_response,
};
use crate::{HttpRequest, HttpResponse, codec};

pub(in crate::dialect) const CODEC: HttpCodec =
    HttpCodec { operation: "HttpServer.HandleRequest", encode_request, decode_response };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query_string: &'a str,
    header: ManyValues<'a>,
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(default)]
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
        header: ManyValues(&request.headers),
        body: &request.body,
    };
    codec::encode_sized(&wire, super::super::request_size(request))
}

fn decode_response(payload: &Bytes) -> Result<HttpResponse, ProviderError> {
    let wire: Response<'_> = codec::decode(payload)?;
    http_response(payload, wire.status_code, wire.header, wire.body)
}
