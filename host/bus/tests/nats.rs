//! The bus over a real nats-server.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::{sync::watch, task::JoinSet};
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

/// Passes bytes on to a server; those of connections made before `cut` is set vanish from then on, as in a network that
/// drops packets, and nobody is told.
async fn passing(server: u16, cut: watch::Receiver<bool>) -> (u16, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((near, _)) = listener.accept().await {
            connections.spawn(pass(near, server, cut.clone()));
        }
    });
    (port, tasks)
}

async fn pass(mut near: tokio::net::TcpStream, server: u16, mut cut: watch::Receiver<bool>) {
    let is_late = *cut.borrow();
    let mut far = tokio::net::TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    let is_cut = async {
        if is_late || cut.wait_for(|cut| *cut).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        // Both ends stay open.
        () = is_cut => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_way_that_is_cut_in_silence_is_noticed_and_another_found() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let (cut, is_cut) = watch::channel(false);
    let (port, _passing) = passing(server.port(), is_cut).await;
    let auth = NatsAuth::CredentialsFile(server.credentials().unwrap().into());
    let options = NatsOptions { urls: vec![format!("nats://127.0.0.1:{port}")], auth, ..NatsOptions::default() };
    let bus = NatsBus::connect(options).await.unwrap();
    let _silent = connect(&server).await.subscribe("silent", None).await.unwrap();
    let (before, begun) = (bus.connections(), tokio::time::Instant::now());
    cut.send(true).unwrap();
    let noticed = async {
        while bus.connections() == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), noticed).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let answer = bus.request("nobody", &[], Bytes::new(), Duration::from_secs(5)).await;
    assert_eq!(answer.unwrap_err().code(), "no_responders");
    server.stop().await;
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

/// Whoever listens to everything takes NATS's answer from a message nobody else is there for.
#[tokio::test]
async fn one_who_listens_to_everything_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let curious = connect(&server).await;
    for everything in [">", "_INBOX.>"] {
        let _heard = curious.client().subscribe(everything).await.unwrap();
        curious.client().publish("in.order", Bytes::new()).await.unwrap();
        curious.client().flush().await.unwrap();
        let [near, far] = [connect(&server).await, connect(&server).await];
        let mut asked = near.subscribe("ask", None).await.unwrap();
        let inbox = far.new_inbox();
        let mut answers = far.subscribe(&inbox, None).await.unwrap();
        far.publish("ask", Some(&inbox), &[], Bytes::new()).await.unwrap();
        let reply = asked.next().await.unwrap().reply.unwrap();
        near.publish(&reply, None, &[], "yes".into()).await.unwrap();
        assert_eq!(answers.next().await.unwrap().payload, "yes", "{everything}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_permissions_refuse_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let auth = NatsAuth::CredentialsFile(server.provider_credentials().unwrap().into());
    let (urls, inbox_prefix) = (vec![server.url().into()], Some("_INBOX".into()));
    let options = NatsOptions { urls, auth, inbox_prefix, ..NatsOptions::default() };
    let provider = NatsBus::connect(options).await.unwrap();
    let (minute, inbox) = (Duration::from_secs(60), provider.new_inbox());
    let ping = "wasmbus.ctl.v1.default.host.ping";
    let refused = [
        provider.request(ping, &[], Bytes::new(), minute).await.unwrap_err(),
        provider.publish(ping, Some(&inbox), &[], Bytes::new()).await.unwrap_err(),
        provider.subscribe("wasmbus.evt.default.*", None).await.map(drop).unwrap_err(),
        provider.subscribe("wasmbus.ctl.v1.default.link.*", Some("q")).await.map(drop).unwrap_err(),
    ];
    assert_eq!(refused.map(|error| error.code()), ["bus_not_allowed"; 4]);
    assert_eq!(provider.bucket("LATTICEDATA_default").await.map(drop).unwrap_err().code(), "kv_unavailable");

    // What it is there for: answers, each once, and calls of actors.
    let host = connect(&server).await;
    let mut calls = provider.subscribe("wasmbus.rpc.default.VX.default", None).await.unwrap();
    let mut all = provider.client().subscribe("_INBOX.>").await.unwrap();
    let answering = async {
        let call = calls.next().await.unwrap();
        provider.publish(call.reply.as_deref().unwrap(), None, &[], "yes".into()).await.unwrap();
    };
    let calling = host.request("wasmbus.rpc.default.VX.default", &[], Bytes::new(), minute);
    let (answer, ()) = tokio::join!(calling, answering);
    assert_eq!(answer.unwrap().payload, "yes");
    // The answer was not heard on its subscription to all inboxes, which NATS takes for one to some.
    host.publish("_INBOX.mine", None, &[], Bytes::new()).await.unwrap();
    assert_eq!(all.next().await.unwrap().subject.as_str(), "_INBOX.mine");
    drop(all);
    let nobody = provider.request("wasmbus.rpc.default.MX", &[], Bytes::new(), minute).await.unwrap_err();
    assert_eq!(nobody.code(), "no_responders");
    server.stop().await;
}

#[tokio::test]
async fn inboxes_begin_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), None).await;
    let open = async |prefix: &str| {
        let auth = NatsAuth::CredentialsFile(server.credentials().unwrap().into());
        let (urls, inbox_prefix) = (vec![server.url().into()], Some(prefix.to_owned()));
        NatsBus::connect(NatsOptions { urls, auth, inbox_prefix, ..NatsOptions::default() }).await
    };
    let (bus, other) = (open("_INBOX.shop.host").await.unwrap(), connect(&server).await);
    assert!(bus.new_inbox().starts_with("_INBOX.shop.host."));
    let mut asked = other.subscribe("ask", None).await.unwrap();
    let answering = async {
        let reply = asked.next().await.unwrap().reply.unwrap();
        other.publish(&reply, None, &[], Bytes::new()).await.unwrap();
        reply
    };
    let asking = bus.request("ask", &[], Bytes::new(), Duration::from_secs(60));
    let (answer, reply) = tokio::join!(asking, answering);
    assert!(answer.is_ok() && reply.starts_with("_INBOX.shop.host."), "{reply}");
    assert_eq!(open("_INBOX.*").await.unwrap_err().code(), "subject_invalid");
    server.stop().await;
}
