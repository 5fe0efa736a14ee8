//! Messages as HTTP's documents have them, where clients and proxies would otherwise see something else than actors do.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Actor, DATA, HEADERS, Response, SETTINGS, frame, one, raw, recording, rest, serve, split};

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads frames up to the first of this kind or of an answer's end; returns its kind and flags.
async fn first_of_answer(stream: &mut TcpStream) -> (u8, u8) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS || head[3] == DATA {
            return (head[3], head[4]);
        }
    }
}

#[tokio::test]
async fn head_over_http2_is_answered_by_a_head_alone() {
    const END_STREAM: u8 = 1;
    let (_server, address) = serve(Actor::echo(), &[]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = frame(HEADERS, 5, 1, b"\x42\x04HEAD\x86\x41\x01x\x84");
    stream
        .write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..], &head].concat())
        .await
        .unwrap();
    let (kind, flags) = timeout(PATIENCE, first_of_answer(&mut stream)).await.unwrap();
    assert_eq!((kind, flags & END_STREAM), (HEADERS, END_STREAM));

    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    // An actor's answer, and one of ours.
    for (path, status, length) in [("/h", 200, "9"), ("/no%20path", 200, "17")] {
        let request = http::Request::head(format!("http://{address}{path}")).body(Full::default()).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-length"].to_str().unwrap()),
            (status, length)
        );
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn over_http2_the_actor_gets_host_and_one_cookie_header() {
    let (actor, seen) = recording();
    let (_server, address) = serve(actor, &[]).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let request = http::Request::get(format!("http://{address}/"));
    let request =
        request.header("cookie", "a=1").header("x", "y").header("cookie", "b=2").body(Full::default()).unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 200);
    let one_and_one = "GET / HTTP/1.1\r\nhost: h:1\r\ncookie: a=1\r\nCookie: b=2\r\nconnection: close\r\n\r\n";
    assert_eq!(split(&raw(address, one_and_one).await).0, 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0.header["host"], [address.to_string()]);
    assert_eq!(seen[1].0.header["host"], ["h:1"]);
    for (request, _) in seen.iter() {
        assert_eq!(request.header["cookie"], ["a=1; b=2"]);
    }
}

#[tokio::test]
async fn who_ends_its_side_after_a_request_gets_the_whole_answer() {
    const LEN: usize = 1024 * 1024;
    let large = Response { status_code: 200, header: Default::default(), body: vec![b'x'; LEN] };
    let slow = Actor::playing(move |_, _, _, _| {
        let answer = rmp_serde::to_vec_named(&large).unwrap();
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(answer.into())
        }
    });
    let (_server, address) = serve(slow, &[]).await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {LEN}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &vec![b'y'; LEN]].concat()).await.unwrap();
        stream.shutdown().await.unwrap();
        // And the connection ends with it.
        let answer = timeout(PATIENCE, rest(&mut stream)).await.unwrap();
        assert_eq!(split(&answer).1.len(), LEN);
    }
}

#[tokio::test]
async fn who_ends_its_side_before_the_request_is_whole_is_refused() {
    let (actor, seen) = recording();
    let (_server, address) = serve(actor, &[]).await;
    for request in ["POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n123", "GET / HTTP/1.1\r\nhost"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = timeout(PATIENCE, rest(&mut stream)).await.unwrap();
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

/// Sends bytes that must be refused with this status and closed, and that no actor may see.
async fn check_refused(request: impl AsRef<[u8]>, status: u16) {
    let (actor, seen) = recording();
    let (_server, address) = serve(actor, &[]).await;
    let request = request.as_ref();
    let text = String::from_utf8_lossy(request);
    // Open for more, were it not for the server.
    let answer = timeout(PATIENCE, raw(address, request)).await.unwrap_or_else(|_| panic!("still open: {text:?}"));
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{text:?} -> {answer}");
    assert!(answer.to_lowercase().contains("connection: close\r\n"), "{answer}");
    assert!(seen.lock().unwrap().is_empty(), "{text:?}");
}

#[tokio::test]
async fn a_body_that_ends_in_two_ways_is_refused_and_the_connection_closed() {
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 0",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 5",
        "content-length: +5",
        "transfer-encoding : chunked",
    ] {
        check_refused(format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n0\r\n\r\n"), 400).await;
    }
    check_refused("POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400).await;
}

#[tokio::test]
async fn a_later_request_on_a_connection_is_looked_at_as_well() {
    let (_server, address) = serve(Actor::echo(), &[]).await;
    let good = "POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n\
                POST /l HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc";
    let bad = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let answers = raw(address, format!("{good}{good}{bad}GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 4, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 ").count(), 1, "{answers}");
    assert!(!answers.contains("smuggled"), "{answers}");
}

#[tokio::test]
async fn a_request_that_is_none_is_refused() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n",
        "GET http://user@x/ HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n folded\r\n\r\n",
    ] {
        check_refused(request, 400).await;
    }
}

#[tokio::test]
async fn what_a_client_expects_is_met_or_refused() {
    check_refused("POST / HTTP/1.1\r\nhost: x\r\nexpect: magic\r\ncontent-length: 1\r\n\r\n", 417).await;
    check_refused("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue, magic\r\ncontent-length: 1\r\n\r\n", 417).await;
    let (_server, address) = serve(Actor::echo(), &[]).await;
    // HTTP/1.0 knows of none.
    assert_eq!(split(&raw(address, "GET / HTTP/1.0\r\nexpect: magic\r\n\r\n").await).0, 200);
}

#[tokio::test]
async fn the_authority_of_the_target_counts_before_the_host_header() {
    let (actor, seen) = recording();
    let (_server, address) = serve(actor, &[("host", "real.example")]).await;
    let request = "GET http://real.example:81/p?q HTTP/1.1\r\nHost: other.example\r\nconnection: close\r\n\r\n";
    assert_eq!(split(&raw(address, request).await).0, 200);
    let seen = seen.lock().unwrap();
    let request = &seen[0].0;
    assert_eq!((request.path.as_str(), request.query_string.as_str()), ("/p", "q"));
    assert_eq!(request.header["host"], ["real.example:81"]);
}

#[tokio::test]
async fn values_that_are_no_utf8_lose_no_byte() {
    let (actor, seen) = recording();
    let (_server, address) = serve(actor, &[]).await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\na: caf\xc3\xa9\r\nb: caf\xe9 \x80\xff\r\nconnection: close\r\n\r\n";
    assert_eq!(split(&raw(address, request).await).0, 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0.header["a"], ["caf\u{e9}"]);
    let bytes: Vec<_> = seen[0].0.header["b"][0].chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(bytes, b"caf\xe9 \x80\xff");
}

#[tokio::test]
async fn statuses_without_content_have_none() {
    for (status, length) in [(204, None), (205, Some("content-length: 0")), (304, None)] {
        let response = Response { status_code: status, header: Default::default(), body: b"ignored".to_vec() };
        let (_server, address) = serve(Actor::answering(response), &[]).await;
        let answer = raw(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with("\r\n\r\n"), "{answer}");
        let found = answer.lines().find(|line| line.starts_with("content-length"));
        assert_eq!(found, length, "{answer}");
    }
}

#[tokio::test]
async fn http_1_0_keeps_a_connection_only_if_asked() {
    let (_server, address) = serve(Actor::echo(), &[]).await;
    assert_eq!(split(&raw(address, "GET /1 HTTP/1.0\r\n\r\n").await), (200, "GET /1? ".into()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    for n in 0..2 {
        stream.write_all(format!("GET /{n} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").as_bytes()).await.unwrap();
        assert!(one(&mut stream).await.ends_with(&format!("GET /{n}? ")));
    }
}
