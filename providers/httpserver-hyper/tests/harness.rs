//! A server with links, an actor that is a closure, and a client that is bytes.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wattle_httpserver_hyper::HttpServer;
use wattle_types::{
    ActorInvoker, BoxFuture, CallContext, Handover, InvokeError, LinkDefinition, LinkKey, Provider, ProviderContext,
    ProviderError,
};

pub(crate) const ACTOR: &str = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP";
pub(crate) const CONTRACT: &str = "wasmcloud:httpserver";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query_string: String,
    pub(crate) header: BTreeMap<String, Vec<String>>,
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response {
    pub(crate) status_code: u16,
    pub(crate) header: BTreeMap<String, Vec<String>>,
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
}

pub(crate) type Outcome = Result<Bytes, InvokeError>;
type Play = dyn Fn(LinkKey, String, Bytes, CallContext) -> BoxFuture<'static, Outcome> + Send + Sync;

pub(crate) struct Actor(Box<Play>);

impl Actor {
    pub(crate) fn playing<F>(
        play: impl Fn(LinkKey, String, Bytes, CallContext) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Arc::new(Self(Box::new(move |link, operation, payload, context| {
            Box::pin(play(link, operation, payload, context))
        })))
    }

    /// Answers with method, path, query and body in one line.
    pub(crate) fn echo() -> Arc<Self> {
        Self::playing(|_, operation, payload, _| async move {
            assert_eq!(operation, "HttpServer.HandleRequest");
            let request: Request = rmp_serde::from_slice(&payload).unwrap();
            let Request { method, path, query_string, body, .. } = request;
            ok(&format!("{method} {path}?{query_string} {}", String::from_utf8_lossy(&body)))
        })
    }

    /// Answers with the link's name.
    pub(crate) fn link_name() -> Arc<Self> {
        Self::playing(|link, _, _, _| async move { ok(link.link_name.as_str()) })
    }

    pub(crate) fn failing(error: InvokeError) -> Arc<Self> {
        Self::playing(move |_, _, _, _| std::future::ready(Err(error.clone())))
    }

    pub(crate) fn answering(response: Response) -> Arc<Self> {
        let bytes = Bytes::from(rmp_serde::to_vec_named(&response).unwrap());
        Self::playing(move |_, _, _, _| std::future::ready(Ok(bytes.clone())))
    }

    pub(crate) fn hanging() -> Arc<Self> {
        Self::playing(|_, _, _, _| std::future::pending())
    }
}

impl ActorInvoker for Actor {
    fn invoke<'a>(
        &'a self,
        link: &'a LinkKey,
        operation: &'a str,
        payload: Bytes,
        context: CallContext,
    ) -> BoxFuture<'a, Outcome> {
        (self.0)(link.clone(), operation.into(), payload, context)
    }
}

pub(crate) fn ok(body: &str) -> Outcome {
    let response = Response { status_code: 200, header: BTreeMap::new(), body: body.into() };
    Ok(rmp_serde::to_vec_named(&response).unwrap().into())
}

pub(crate) fn key(link_name: &str) -> LinkKey {
    LinkKey {
        actor: ACTOR.parse().unwrap(),
        contract: CONTRACT.parse().unwrap(),
        link_name: link_name.parse().unwrap(),
    }
}

pub(crate) fn link(link_name: &str, values: &[(&str, &str)]) -> Arc<LinkDefinition> {
    let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Arc::new(LinkDefinition { key: key(link_name), provider: "http".parse().unwrap(), values })
}

pub(crate) fn generation(
    actor: Arc<Actor>,
    config: &[(&str, &str)],
    predecessor: Option<Handover>,
) -> Result<HttpServer, ProviderError> {
    let config = config.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    HttpServer::new(ProviderContext { id: "http".parse().unwrap(), config, actors: actor }, predecessor)
}

/// A server with one link on a port the kernel chose.
pub(crate) async fn serve(actor: Arc<Actor>, values: &[(&str, &str)]) -> (HttpServer, SocketAddr) {
    let server = generation(actor, &[("port", "0")], None).unwrap();
    server.put_link(link("default", values)).await.unwrap();
    let address = server.addresses()[0].1;
    (server, address)
}

/// Sends bytes, and returns all that comes back until the server closes.
pub(crate) async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    rest(&mut stream).await
}

pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A server that refuses a body it has not read may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends one request on a connection of its own; returns status and body.
pub(crate) async fn get(address: SocketAddr, host: &str, path: &str) -> (u16, String) {
    split(&raw(address, format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await)
}

pub(crate) fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    (head[9..12].parse().unwrap(), body.into())
}

/// Reads one answer with a content-length from a connection that stays open.
pub(crate) async fn one(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "closed after {text:?}");
        answer.extend_from_slice(&chunk[..read]);
    }
}

pub(crate) type Recorded = Arc<Mutex<Vec<(Request, CallContext)>>>;

/// What the actor was asked, kept for the test to look at.
pub(crate) fn recording() -> (Arc<Actor>, Recorded) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let actor = Actor::playing(move |_, _, payload, context| {
        into.lock().unwrap().push((rmp_serde::from_slice(&payload).unwrap(), context));
        std::future::ready(ok("seen"))
    });
    (actor, seen)
}

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = stream.to_be_bytes();
    [&[0, 0, payload.len() as u8, kind, flags, 0, 0, high, low][..], payload].concat()
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const WINDOW_UPDATE: u8 = 8;
