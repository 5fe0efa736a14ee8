//! What a client may not do, and how long it may take for what it may.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

use wattle_types::Provider;

use crate::harness::{
    Actor, DATA, HEADERS, Request, Response, SETTINGS, WINDOW_UPDATE, frame, generation, get, link, one, raw, rest,
    serve, split,
};

#[tokio::test]
async fn an_announced_body_is_refused_unread_and_a_chunked_one_when_it_grows() {
    let (_server, address) = serve(Actor::echo(), &[("max_body_bytes", "8")]).await;
    let refused = r#"{"error":"payload_too_large","message":"the request's body exceeds the limit of 8 bytes"}"#
        .to_owned()
        + "\n";
    let announced = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    assert_eq!(split(&raw(address, announced).await), (413, refused.clone()));
    let chunked =
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n";
    assert_eq!(split(&raw(address, chunked).await), (413, refused));
    let fits = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8\r\n\r\n12345678";
    assert_eq!(split(&raw(address, fits).await), (200, "POST /? 12345678".into()));
}

#[tokio::test]
async fn a_long_head_is_431_in_json_and_a_monstrous_one_is_431_at_least() {
    let (_server, address) = serve(Actor::echo(), &[("max_header_bytes", "200")]).await;
    let head = |length| format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\na: {}\r\n\r\n", "y".repeat(length));
    assert_eq!(split(&raw(address, head(100)).await).0, 200);
    let message = "the request's target and headers exceed the limit of 200 bytes";
    let body = format!(r#"{{"error":"headers_too_large","message":"{message}"}}"#) + "\n";
    assert_eq!(split(&raw(address, head(200)).await), (431, body));
    assert!(raw(address, head(1_000_000)).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_head_sent_slowly_ends_the_connection() {
    let (_server, address) = serve(Actor::echo(), &[("header_timeout_ms", "100")]).await;
    // Silent, stuck in the first line, and dripping.
    assert_eq!(raw(address, "").await, "");
    assert_eq!(raw(address, "GET / HTTP/1.1\r\nho").await, "");
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let drip = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            tick.tick().await;
            if write.write_all(b"a").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = drip => unreachable!(),
    }
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let slow = Actor::playing(|_, _, _, _| async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        crate::harness::ok("late")
    });
    let (_server, address) = serve(slow, &[("idle_timeout_ms", "60"), ("header_timeout_ms", "60")]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(one(&mut stream).await.ends_with("late"));
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn bodies_beyond_what_the_server_holds_are_503_until_others_are_done() {
    let gate = Arc::new(Semaphore::new(0));
    let (asked, mut waits) = tokio::sync::mpsc::channel(4);
    let wait = Arc::clone(&gate);
    let actor = Actor::playing(move |_, _, _, _| {
        let (wait, asked) = (Arc::clone(&wait), asked.clone());
        async move {
            asked.send(()).await.unwrap();
            wait.acquire().await.unwrap().forget();
            crate::harness::ok("done")
        }
    });
    let server = generation(actor, &[("port", "0"), ("max_buffered_bytes", "10")], None).unwrap();
    server.put_link(link("default", &[])).await.unwrap();
    let address = server.addresses()[0].1;
    let post = |length: usize| {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        head + &"x".repeat(length)
    };
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(post(6).as_bytes()).await.unwrap();
    waits.recv().await.unwrap();

    let refused = raw(address, post(5)).await;
    assert!(refused.contains("\r\nretry-after: 1\r\n") && refused.contains("\r\nconnection: close\r\n"), "{refused}");
    let (status, body) = split(&refused);
    assert_eq!(status, 503);
    assert!(body.starts_with(r#"{"error":"overloaded","message":"the server holds bodies of other"#), "{body}");
    assert!(body.contains("max_buffered_bytes=BYTES"), "{body}");

    // What is left is enough for less; with the first request, all of it is free again.
    gate.add_permits(2);
    assert_eq!(split(&raw(address, post(4)).await), (200, "done".into()));
    assert!(rest(&mut first).await.ends_with("done"));
    gate.add_permits(1);
    assert_eq!(split(&raw(address, post(10)).await), (200, "done".into()));
    assert_eq!(split(&raw(address, post(11)).await).0, 413);
}

/// Begins HTTP/2 as a client that takes no part of an answer before it says so.
async fn http2_without_window(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let initial_window_size = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &initial_window_size[..]].concat()).await.unwrap();
    stream
}

/// Reads up to the first frame of this kind, and returns its payload.
async fn next_frame(stream: &mut TcpStream, wanted: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == wanted {
            return payload;
        }
    }
}

fn asking(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn answers_nobody_reads_are_held_up_to_a_bound_and_what_is_beyond_is_503() {
    let sized = Actor::playing(|_, _, payload, _| async move {
        let request: Request = rmp_serde::from_slice(&payload).unwrap();
        crate::harness::ok(&"x".repeat(request.path[1..].parse().unwrap()))
    });
    let server = generation(sized, &[("port", "0"), ("max_unread_bytes", "1000")], None).unwrap();
    server.put_link(link("default", &[])).await.unwrap();
    let address = server.addresses()[0].1;

    let mut idle = http2_without_window(address).await;
    idle.write_all(&frame(HEADERS, 5, 1, b"\x82\x86\x41\x01x\x04\x04/600")).await.unwrap();
    next_frame(&mut idle, HEADERS).await;
    let refused = raw(address, asking("GET", "/600")).await;
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    let (status, body) = split(&refused);
    assert_eq!(status, 503);
    assert!(body.starts_with(r#"{"error":"overloaded","message":"the server holds answers"#), "{body}");
    assert!(body.contains("max_unread_bytes=BYTES"), "{body}");
    // Nobody should send again what was done.
    let refused = raw(address, asking("POST", "/600")).await;
    assert_eq!(split(&refused).0, 502);
    assert!(refused.contains(r#""error":"overloaded""#) && !refused.contains("retry-after"), "{refused}");
    let (status, body) = split(&raw(address, asking("GET", "/1001")).await);
    assert_eq!(status, 502);
    assert!(body.contains(r#""error":"response_too_large""#), "{body}");

    // There is room for less; and for as much as before once the first is read.
    assert_eq!(split(&raw(address, asking("GET", "/300")).await).0, 200);
    idle.write_all(&frame(WINDOW_UPDATE, 0, 1, &600_u32.to_be_bytes())).await.unwrap();
    assert_eq!(next_frame(&mut idle, DATA).await.len(), 600);
    assert_eq!(split(&raw(address, asking("GET", "/600")).await).0, 200);

    // A client that goes away gives back what was held for it.
    idle.write_all(&frame(HEADERS, 5, 3, b"\x82\x86\x41\x01x\x04\x04/600")).await.unwrap();
    next_frame(&mut idle, HEADERS).await;
    assert_eq!(split(&raw(address, asking("GET", "/600")).await).0, 503);
    idle.shutdown().await.unwrap();
    rest(&mut idle).await;
    assert_eq!(split(&raw(address, asking("GET", "/600")).await).0, 200);
}

#[tokio::test]
async fn an_http2_client_that_leaves_one_answer_unread_is_closed_whatever_else_it_asks() {
    const GET_SLASH: &[u8] = &[0x82, 0x84, 0x86, 0x41, 1, b'x'];
    let (_server, address) = serve(Actor::echo(), &[("idle_timeout_ms", "100"), ("header_timeout_ms", "100")]).await;
    let (mut read, mut write) = http2_without_window(address).await.into_split();
    write.write_all(&frame(HEADERS, 5, 1, GET_SLASH)).await.unwrap();
    let asking = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
        for stream in (3..).step_by(2) {
            let asked_and_read =
                [frame(HEADERS, 5, stream, GET_SLASH), frame(WINDOW_UPDATE, 0, stream, &99_u32.to_be_bytes())];
            if write.write_all(&asked_and_read.concat()).await.is_err() {
                std::future::pending::<()>().await;
            }
            tick.tick().await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = asking => unreachable!(),
        () = tokio::time::sleep(std::time::Duration::from_secs(5)) => panic!("still open"),
    }
    assert!(answer.windows(5).filter(|bytes| bytes == b"GET /").count() > 5);
}

#[tokio::test]
async fn an_http2_client_that_only_pings_is_closed() {
    const GET_SLASH: &[u8] = &[0x82, 0x84, 0x86, 0x41, 1, b'x'];
    let (_server, address) = serve(Actor::echo(), &[("idle_timeout_ms", "100"), ("header_timeout_ms", "100")]).await;
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    let asking = [preface.clone(), frame(1, 5, 1, GET_SLASH)].concat();
    for (first, answered) in [(preface, false), (asking, true)] {
        let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
        write.write_all(&first).await.unwrap();
        let pinging = async {
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
            while write.write_all(&frame(6, 0, 0, b"12345678")).await.is_ok() {
                tick.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        tokio::select! {
            _ = read.read_to_end(&mut answer) => {}
            () = pinging => unreachable!(),
            () = tokio::time::sleep(std::time::Duration::from_secs(5)) => panic!("still open"),
        }
        let pongs = answer.windows(8).filter(|bytes| bytes == b"12345678").count();
        assert!(pongs > 2, "{pongs} pings answered");
        assert_eq!(answer.windows(5).any(|bytes| bytes == b"GET /"), answered);
    }
}

#[tokio::test]
async fn an_answer_read_slowly_is_read_to_its_end() {
    const LEN: usize = 16 * 1024 * 1024;
    let large = Response { status_code: 200, header: Default::default(), body: vec![b'x'; LEN] };
    let (_server, address) =
        serve(Actor::answering(large), &[("idle_timeout_ms", "200"), ("header_timeout_ms", "200")]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    // All of it takes four times the idle timeout.
    let mut total = 0;
    for _ in 0..16 {
        let mut part = Vec::new();
        total += (&mut stream).take(LEN as u64 / 16).read_to_end(&mut part).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    total += stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(total > LEN);
}

#[tokio::test]
async fn a_slow_body_is_408_and_a_slow_actor_504() {
    let (_server, address) = serve(Actor::hanging(), &[("timeout_ms", "50")]).await;
    let answer = raw(address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12").await;
    let body =
        r#"{"error":"request_timeout","message":"the request's body did not arrive within 50 ms"}"#.to_owned() + "\n";
    assert_eq!(split(&answer), (408, body));
    let (status, body) = get(address, "x", "/").await;
    assert_eq!(status, 504);
    assert!(
        body.starts_with(r#"{"error":"deadline_exceeded","message":"the actor did not answer within 50 ms""#),
        "{body}"
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_their_turn() {
    let (_server, address) = serve(Actor::echo(), &[("max_connections", "1")]).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), one(&mut second)).await;
    assert!(early.is_err());
    drop(first);
    assert!(one(&mut second).await.ends_with("GET /2? "));
}

#[tokio::test]
async fn at_the_bound_an_idle_connection_goes_for_a_new_one_and_a_busy_one_stays() {
    let held = Actor::playing(|_, _, payload, _| async move {
        let request: Request = rmp_serde::from_slice(&payload).unwrap();
        if request.path == "/held" {
            std::future::pending::<()>().await;
        }
        crate::harness::ok("done")
    });
    let (_server, address) = serve(held, &[("max_connections", "3")]).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (mut idle, mut silent) =
        (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one(&mut idle).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let asked = tokio::time::timeout(std::time::Duration::from_secs(5), get(address, "x", "/")).await;
        assert_eq!(asked.unwrap(), (200, "done".into()));
        // Takes the place that was made: the next needs the other.
        let mut taken = TcpStream::connect(address).await.unwrap();
        taken.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        held.push(taken);
    }
    assert_eq!((rest(&mut idle).await, rest(&mut silent).await), (String::new(), String::new()));
    let still = tokio::time::timeout(std::time::Duration::from_millis(50), rest(&mut busy)).await;
    assert!(still.is_err());
}

#[tokio::test]
async fn a_client_has_no_more_connections_than_it_may() {
    let (_server, address) = serve(Actor::hanging(), &[("max_connections_per_client", "2")]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        held.push(stream);
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(5), rest(&mut third)).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_bound_the_next_client_is_always_let_in() {
    let (_server, address) = serve(Actor::echo(), &[("max_connections", "1")]).await;
    for _ in 0..2_000 {
        // Several at once, so that one waits whenever another ends.
        let asked = async { tokio::join!(get(address, "x", "/"), get(address, "x", "/"), get(address, "x", "/")) };
        let answers = tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.unwrap();
        assert_eq!((answers.0.0, answers.1.0, answers.2.0), (200, 200, 200));
    }
}

#[tokio::test]
async fn a_raised_bound_lets_those_in_who_wait() {
    let (server, address) = serve(Actor::echo(), &[("max_connections", "1")]).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.put_link(link("default", &[("max_connections", "2")])).await.unwrap();
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), one(&mut second)).await.unwrap();
    assert!(answer.ends_with("GET /2? "), "{answer}");
}

#[tokio::test]
async fn malformed_requests_are_refused_and_harm_nobody() {
    let (_server, address) =
        serve(Actor::echo(), &[("timeout_ms", "200"), ("header_timeout_ms", "100"), ("idle_timeout_ms", "100")]).await;
    for bytes in [
        &b"\0\0\0\0"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame at all..",
        b"PRI * HTTP/2.0\r\n\r\nXX",
    ] {
        let answer = raw(address, bytes).await;
        assert!(!answer.contains(" 200 "), "{:?} -> {answer:?}", String::from_utf8_lossy(bytes));
    }
    // Noise from a fixed seed.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for length in 0..200 {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(&noise).await;
    }
    assert_eq!(get(address, "x", "/").await.0, 200);
}
