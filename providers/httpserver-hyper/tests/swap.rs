//! A server replaced by another of its kind while clients use it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use wattle_httpserver_hyper::HttpServer;
use wattle_types::Provider;

use crate::harness::{Actor, generation, get, link, ok, one, serve};

/// An actor that names the generation it was called by, a moment later.
fn named(name: usize) -> Arc<Actor> {
    Actor::playing(move |_, _, _, _| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        ok(&name.to_string())
    })
}

async fn swap(old: HttpServer, actor: Arc<Actor>) -> HttpServer {
    let new = generation(actor, &[("port", "0")], old.handover()).unwrap();
    new.put_link(link("default", &[])).await.unwrap();
    old.quiesce().await;
    old.shutdown().await;
    new
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_swaps_under_load_fail_no_request_and_close_no_connection() {
    let (mut server, address) = serve(named(0), &[]).await;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..64 {
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        clients.spawn(async move {
            // One connection for all: a close would be a failure.
            let mut stream = TcpStream::connect(address).await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
                let answer = one(&mut stream).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("connection: close"), "{answer}");
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for name in 1..=20 {
        let goal = served.load(Ordering::Relaxed) + 500;
        while served.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server = swap(server, named(name)).await;
        assert_eq!(get(address, "x", "/").await, (200, name.to_string()));
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert!(served.load(Ordering::Relaxed) >= 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_streams_survive_swaps_and_a_restart_says_goaway() {
    let (mut server, address) = serve(named(0), &[]).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let ask = |client: Client<_, _>| async move {
        let request = http::Request::post(format!("http://{address}/")).body(Full::from("hi")).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    for name in 1..=10 {
        let mut calls = JoinSet::new();
        for _ in 0..32 {
            calls.spawn(ask(client.clone()));
        }
        server = swap(server, named(name)).await;
        while let Some(call) = calls.join_next().await {
            call.unwrap();
        }
        assert_eq!(ask(client.clone()).await, name.to_string());
    }
    // Well within the grace time of idle HTTP/1.1 connections.
    tokio::time::timeout(Duration::from_secs(2), server.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_successor_that_fails_takes_nothing_with_it() {
    let (server, address) = serve(named(1), &[]).await;
    let failed = generation(named(2), &[("port", "0")], server.handover()).unwrap();
    failed.put_link(link("default", &[])).await.unwrap();
    assert_eq!(get(address, "x", "/").await.1, "2");
    failed.put_link(link("default", &[("timeout_ms", "x")])).await.unwrap_err();
    drop(failed);
    assert_eq!(get(address, "x", "/").await.1, "1");
    assert!(generation(named(3), &[("prot", "0")], server.handover()).is_err());
    assert_eq!(get(address, "x", "/").await.1, "1");
}

#[tokio::test]
async fn links_the_successor_does_not_have_go_with_the_predecessor() {
    let (old, address) = serve(named(1), &[]).await;
    let new = generation(named(2), &[("port", "0")], old.handover()).unwrap();
    old.quiesce().await;
    assert!(TcpStream::connect(address).await.is_err());
    assert!(new.addresses().is_empty());
}
