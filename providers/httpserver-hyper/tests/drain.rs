//! How an address, a generation and a server end.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Notify, Semaphore},
    time::timeout,
};
use wattle_types::{Provider, ProviderError};

use crate::harness::{Actor, generation, get, key, link, ok, one, rest, serve};

/// An actor that says when it is asked and answers when it is let.
fn gated() -> (Arc<Actor>, Arc<Notify>, Arc<Semaphore>) {
    let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let actor = Actor::playing(move |_, _, _, _| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            tell.notify_one();
            wait.acquire().await.unwrap().forget();
            ok("done")
        }
    });
    (actor, asked, gate)
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn shutdown_waits_for_what_is_in_flight_and_then_closes() {
    let (actor, asked, gate) = gated();
    let (server, address) = serve(actor, &[]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    asked.notified().await;
    let mut shutdown = server.shutdown();
    assert!(timeout(Duration::from_millis(50), &mut shutdown).await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
    gate.add_permits(1);
    let answer = rest(&mut stream).await;
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("done"), "{answer}");
    shutdown.await;
    server.shutdown().await;
}

#[tokio::test]
async fn an_idle_connection_gets_one_more_answer_during_the_grace_time() {
    let (server, address) = serve(Actor::echo(), &[]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    one(&mut stream).await;
    let mut shutdown = server.shutdown();
    assert!(timeout(Duration::from_millis(50), &mut shutdown).await.is_err());
    stream.write_all(GET).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    timeout(Duration::from_secs(1), shutdown).await.unwrap();
}

#[tokio::test]
async fn a_connection_idle_to_the_end_of_the_grace_time_is_closed() {
    let server = generation(Actor::echo(), &[("port", "0"), ("drain_grace_ms", "50")], None).unwrap();
    server.put_link(link("default", &[])).await.unwrap();
    let mut stream = TcpStream::connect(server.addresses()[0].1).await.unwrap();
    stream.write_all(GET).await.unwrap();
    one(&mut stream).await;
    let (closed, ()) = tokio::join!(rest(&mut stream), server.quiesce());
    assert_eq!(closed, "");
}

#[tokio::test]
async fn a_host_that_gives_up_waiting_leaves_no_connection() {
    let (actor, asked, _gate) = gated();
    let (server, address) = serve(actor, &[]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    asked.notified().await;
    assert!(timeout(Duration::from_millis(20), server.quiesce()).await.is_err());
    assert_eq!(rest(&mut stream).await, "");
    server.shutdown().await;
}

#[tokio::test]
async fn a_deleted_link_answers_404_and_closes_the_connection() {
    let (server, address) = serve(Actor::echo(), &[]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    one(&mut stream).await;
    server.delete_link(&key("default")).await;
    stream.write_all(GET).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn clients_in_the_kernels_queue_are_served_before_the_socket_closes() {
    let (server, address) = serve(Actor::echo(), &[]).await;
    // No await gives the acceptor a turn between these connects and the shutdown.
    let queued: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let clients = async {
        for stream in queued {
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream).unwrap();
            stream.write_all(GET).await.unwrap();
            assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 "));
        }
    };
    tokio::join!(server.shutdown(), clients);
}

#[tokio::test]
async fn a_link_put_too_late_is_refused_and_opens_nothing() {
    let (server, address) = serve(Actor::echo(), &[]).await;
    server.quiesce().await;
    let fixed = address.to_string();
    let error = server.put_link(link("late", &[("address", &fixed)])).await.unwrap_err();
    assert_eq!(error, ProviderError::BackendUnavailable("the server is closing".into()));
    assert!(TcpStream::connect(address).await.is_err());

    // A predecessor that has left leaves its successor alone, too.
    let (old, address) = serve(Actor::echo(), &[]).await;
    let new = generation(Actor::link_name(), &[("port", "0")], old.handover()).unwrap();
    new.put_link(link("default", &[])).await.unwrap();
    old.quiesce().await;
    assert!(old.put_link(link("late", &[("path", "/late")])).await.is_err());
    assert_eq!(get(address, "x", "/late").await, (200, "default".into()));
}
