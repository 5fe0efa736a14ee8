//! HTTP/1.0, HTTP/1.1 and HTTP/2, as clients speak them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use wattle_types::Provider;

use crate::harness::{Actor, Response, generation, link, one, raw, recording, serve, split};

#[tokio::test]
async fn the_actor_sees_the_whole_request() {
    let (actor, seen) = recording();
    let (_server, address) = serve(actor, &[]).await;
    let request = "PUT /a%20b?q=1&r HTTP/1.1\r\nHost: x\r\nconnection: close\r\nA: 1\r\na: 2\r\ntraceparent: 00-t-s-01\r\n\
                   content-length: 3\r\n\r\nxyz";
    assert_eq!(split(&raw(address, request).await), (200, "seen".into()));
    let seen = seen.lock().unwrap();
    let (request, context) = &seen[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.query_string.as_str()),
        ("PUT", "/a%20b", "q=1&r")
    );
    assert_eq!(request.header["a"], ["1", "2"]);
    assert_eq!(request.body, b"xyz");
    assert_eq!(context.traceparent.as_deref(), Some("00-t-s-01"));
    assert_eq!(context.depth, 0);
}

#[tokio::test]
async fn the_wascc_dialect_is_spoken_where_the_link_says_so() {
    let actor = Actor::playing(|_, operation, payload, _| async move {
        assert_eq!(operation, "HandleRequest");
        let request: BTreeMap<String, serde::de::IgnoredAny> = rmp_serde::from_slice(&payload).unwrap();
        assert!(request.contains_key("method"));
        let mut answer = vec![0x84];
        for (name, value) in
            [("status_code", &b"\xcc\xc9"[..]), ("status", b"\xa1-"), ("header", b"\x80"), ("body", b"\xc4\x02ok")]
        {
            answer.push(0xa0 | name.len() as u8);
            answer.extend_from_slice(name.as_bytes());
            answer.extend_from_slice(value);
        }
        Ok(answer.into())
    });
    let server = generation(actor, &[("port", "0")], None).unwrap();
    let mut wascc = (*link("default", &[])).clone();
    wascc.key.contract = "wascc:http_server".parse().unwrap();
    server.put_link(Arc::new(wascc)).await.unwrap();
    assert_eq!(crate::harness::get(server.addresses()[0].1, "x", "/").await, (201, "ok".into()));
}

#[tokio::test]
async fn connections_are_kept_and_chunks_and_continue_work() {
    let (_server, address) = serve(Actor::echo(), &[]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for n in 0..3 {
        stream.write_all(format!("GET /{n} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        assert!(one(&mut stream).await.ends_with(&format!("GET /{n}? ")));
    }
    let chunked = b"POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    stream.write_all(chunked).await.unwrap();
    assert!(one(&mut stream).await.ends_with("POST /c? abc"));
    let expecting =
        b"POST /e HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
    stream.write_all(expecting).await.unwrap();
    let answer = crate::harness::rest(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") && answer.ends_with("hi"),
        "{answer}"
    );
}

#[tokio::test]
async fn head_has_a_length_and_no_body() {
    let (_server, address) = serve(Actor::echo(), &[]).await;
    let answer = raw(address, "HEAD /h HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("\r\ncontent-length: 9\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_without_content_has_none() {
    let response = Response { status_code: 204, header: BTreeMap::new(), body: b"ignored".to_vec() };
    let (_server, address) = serve(Actor::answering(response), &[]).await;
    let answer = raw(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn http2_without_tls_works_by_prior_knowledge() {
    let (_server, address) = serve(Actor::echo(), &[]).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let calls = (0..50).map(|n| {
        let request =
            http::Request::post(format!("http://{address}/{n}")).body(Full::from(format!("body {n}"))).unwrap();
        client.request(request)
    });
    for (n, call) in calls.enumerate() {
        let response = call.await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("POST /{n}? body {n}"));
    }
}
