//! The nats-server we start ourselves.

use std::path::Path;

use tokio::net::{TcpListener, TcpStream};
use wattle_bus::{
    Bus as _, Expect,
    nats_server::{self, NatsServer, NatsServerError, NatsServerOptions},
};

use crate::{kv::PATIENCE, nats};

/// Starts a server in `directory`.
pub(crate) async fn start(directory: &Path, port: Option<u16>) -> NatsServer {
    try_start(directory, port).await.unwrap()
}

/// Starts a nats-server as one gets it, on any free port, its files in a folder.
pub(crate) async fn start_plain(folder: &Path, words: &[&str]) -> (tokio::process::Child, String) {
    let program = nats_server::find().unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["-a", "127.0.0.1", "-p", "-1"]).args(words).arg("--ports_file_dir").arg(folder).kill_on_drop(true);
    command.current_dir(folder).stderr(std::process::Stdio::null());
    let child = command.spawn().unwrap();
    let ports = folder.join(format!("nats-server_{}.ports", child.id().unwrap()));
    let url = async {
        loop {
            let text = tokio::fs::read_to_string(&ports).await.unwrap_or_default();
            if let Ok(ports) = serde_json::from_str::<serde_json::Value>(&text) {
                break ports["nats"][0].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    (child, tokio::time::timeout(PATIENCE, url).await.unwrap())
}

async fn try_start(directory: &Path, port: Option<u16>) -> Result<NatsServer, NatsServerError> {
    let program = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
    NatsServer::start(options(&program, directory, port)).await
}

fn options(program: &Path, directory: &Path, port: Option<u16>) -> NatsServerOptions {
    NatsServerOptions { program: program.into(), directory: directory.into(), port, durable_writes: false }
}

#[tokio::test]
async fn starts_on_loopback_with_jetstream_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder.path().join("new"), None).await;
    let port = server.port();
    let client = connect(&server).await.unwrap();
    assert_eq!((client.server_info().host.as_str(), client.server_info().max_payload), ("127.0.0.1", 8 * 1024 * 1024));
    let made = client.request("$JS.API.STREAM.CREATE.X", r#"{"name":"X","subjects":["x"]}"#.into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&made.payload).contains("error"), "{made:?}");
    server.stop().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "still listening");
}

#[tokio::test]
async fn strangers_are_refused_and_the_user_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let error = async_nats::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    let other = tempfile::tempdir().unwrap();
    let stranger = start(other.path(), None).await;
    let error = open(server.url(), stranger.credentials().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    stranger.stop().await;
    let old = folder.path().join("old.creds");
    std::fs::copy(server.credentials().unwrap(), &old).unwrap();
    server.stop().await;
    let server = start(folder.path(), None).await;
    open(server.url(), &old).await.unwrap();
    server.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn its_files_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("nats");
    let server = start(&directory, None).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in ["nats-server.conf", "nats-server.keys", "nats.creds", "provider.creds"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    server.stop().await;
}

async fn connect(server: &NatsServer) -> Result<async_nats::Client, async_nats::ConnectError> {
    open(server.url(), server.credentials().unwrap()).await
}

async fn open(url: &str, credentials: &Path) -> Result<async_nats::Client, async_nats::ConnectError> {
    async_nats::ConnectOptions::new().credentials_file(credentials).await.unwrap().connect(url).await
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
    let options = |program: &str| options(program.as_ref(), folder.path(), None);
    let error = NatsServer::start(options("/nowhere/nats-server")).await.unwrap_err();
    assert!(error.to_string().contains("cannot run /nowhere/nats-server"), "{error}");
    // Ends at once without a word.
    let error = NatsServer::start(options("/bin/true")).await.unwrap_err();
    assert_eq!(error.code(), "nats_server_not_ready");
}

#[tokio::test]
async fn writes_are_durable_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let program = nats_server::find().unwrap();
    let durable = NatsServerOptions { durable_writes: true, ..options(&program, folder.path(), None) };
    let server = match NatsServer::start(durable).await {
        Err(error) => return assert_eq!(error.code(), "nats_too_old", "{error}"),
        Ok(server) => server,
    };
    let config = std::fs::read_to_string(folder.path().join("nats-server.conf")).unwrap();
    assert!(config.contains("sync_interval: always"), "{config}");
    let bucket = nats::connect(&server).await.bucket("b").await.unwrap();
    let revision = bucket.put("k", "1".into(), Expect::Absent).await.unwrap();
    bucket.put("k", "2".into(), Expect::Revision(revision)).await.unwrap();
    server.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_too_old_for_durable_writes_is_refused_before_it_starts() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nats-server");
    std::fs::write(&program, "#!/bin/sh\necho nats-server: v2.9.10\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let directory = folder.path().join("nats");
    let durable = NatsServerOptions { durable_writes: true, ..options(&program, &directory, None) };
    let error = NatsServer::start(durable).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("2.9.10")), ("nats_too_old", true), "{error}");
    assert!(error.remedy().contains("--durable-writes"), "{}", error.remedy());
    assert!(!directory.join("nats-server.conf").exists());
}

#[tokio::test]
async fn the_program_and_the_connection_tell_one_version() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let told = nats_server::version(&nats_server::find().unwrap()).await;
    assert!(told.is_some());
    assert_eq!(nats::connect(&server).await.server_version(), told);
    assert_eq!(nats_server::version(Path::new("/bin/true")).await, None);
    server.stop().await;
}
