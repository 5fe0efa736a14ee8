//! The bus over a real nats-server.

use std::time::Duration;

use bytes::Bytes;
use wattle_bus::{Bus as _, NatsAuth, NatsBus, NatsOptions, nats_server::NatsServer};

use crate::server::start;

/// Connects as its user.
pub(crate) async fn connect(server: &NatsServer) -> NatsBus {
    let auth = NatsAuth::CredentialsFile(server.credentials().unwrap().into());
    let options = NatsOptions { urls: vec![server.url().into()], auth, name: "test".into(), ..NatsOptions::default() };
    NatsBus::connect(options).await.unwrap()
}

#[tokio::test]
async fn keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    crate::conformance::check_all(|| async { [connect(&server).await, connect(&server).await] }).await;
    server.stop().await;
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let options = NatsOptions { urls: vec!["nats://127.0.0.1:1".into()], ..NatsOptions::default() };
    let error = NatsBus::connect(options).await.unwrap_err();
    assert_eq!(error.code(), "bus_disconnected");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn the_bus_heals_when_the_server_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    let mut subscription = bus.subscribe("heal", None).await.unwrap();
    let pid = rustix::process::Pid::from_raw(server.pid().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    tokio::time::timeout(Duration::from_secs(30), server.restarted(1)).await.unwrap();
    // The old subscription must hear again, and so must a stranger's message find it.
    let stranger = connect(&server).await;
    let heard = async {
        while stranger
            .request("heal", &[], Bytes::new(), Duration::from_millis(100))
            .await
            .is_err_and(|error| error.code() == "no_responders")
        {
            tokio::task::yield_now().await;
        }
        subscription.next().await.unwrap()
    };
    tokio::time::timeout(Duration::from_secs(30), heard).await.unwrap();
    assert!(bus.is_connected());
    assert_eq!(server.restarts(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_lost_connection_refuses_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let bus = connect(&server).await;
    server.stop().await;
    let refused = async {
        // The server is gone before the client notices.
        while bus.is_connected() {
            tokio::task::yield_now().await;
        }
        bus.request("x", &[], Bytes::new(), Duration::from_secs(60)).await.unwrap_err()
    };
    let error = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    assert_eq!(error.code(), "bus_disconnected");
}
