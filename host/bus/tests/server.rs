//! The nats-server we start ourselves.

use std::path::Path;

use tokio::net::{TcpListener, TcpStream};
use wattle_bus::nats_server::{self, NatsServer, NatsServerError, NatsServerOptions};

/// Starts a server in `directory`.
pub(crate) async fn start(directory: &Path, port: Option<u16>) -> NatsServer {
    try_start(directory, port).await.unwrap()
}

async fn try_start(directory: &Path, port: Option<u16>) -> Result<NatsServer, NatsServerError> {
    let program = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
    NatsServer::start(NatsServerOptions { program, directory: directory.into(), port }).await
}

#[tokio::test]
async fn starts_on_loopback_with_jetstream_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder.path().join("new"), None).await;
    let port = server.port();
    let client = async_nats::connect(server.url()).await.unwrap();
    assert!(client.server_info().jetstream);
    assert_eq!(client.server_info().host, "127.0.0.1");
    server.stop().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "still listening");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let error = try_start(folder.path(), Some(port)).await.unwrap_err();
    assert!(matches!(error, NatsServerError::PortTaken { port: taken } if taken == port), "{error}");
    assert!(error.remedy().contains("--nats-port"));
}

#[tokio::test]
async fn a_program_that_cannot_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        |program: &str| NatsServerOptions { program: program.into(), directory: folder.path().into(), port: None };
    let error = NatsServer::start(options("/nowhere/nats-server")).await.unwrap_err();
    assert!(error.to_string().contains("cannot run /nowhere/nats-server"), "{error}");
    // Ends at once without a word.
    let error = NatsServer::start(options("/bin/true")).await.unwrap_err();
    assert_eq!(error.code(), "nats_server_not_ready");
}
