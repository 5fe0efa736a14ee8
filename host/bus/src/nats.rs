//! A bus over NATS.
//!
//! Owns one connection, which comes back by itself for as long as the process lives. While it is gone, messages are
//! refused at once rather than piled up.

mod refusals;

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::watch;
use async_nats::{Client, ConnectOptions, HeaderMap, Request, connection::State};
use bytes::Bytes;
use futures::StreamExt as _;
use wattle_types::BoxFuture;

use refusals::{Heard, Refusals, Use};

use crate::{
    Bus, BusError, KvError, KvStore, Message, Subscription,
    bus::{STATUS_HEADER, check_headers, message_len},
    jetstream::{self, Connection, Link},
    nats_server::NatsVersion,
    subject,
};

/// Messages one subscription may hold before the next are lost.
const SUBSCRIPTION_LEN_MAX: usize = 16 * 1024;

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take to confirm a subscription, or to take a message while its socket is full.
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);

/// What inboxes begin with when nobody says. Longer than with programs of others, so permissions can tell them apart.
const INBOX_PREFIX: &str = "_INBOX.wattle.all";

/// How long a refusal that is there may take to be noticed.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(1);

/// How long `drain` waits for the connection to close.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence after which the server is asked for a sign of life. When three such times have passed without one, the way
/// to it is taken for cut, though nothing says so, and a new connection is made: what was sent may be lost, and
/// whoever waits for an answer is not to wait for it in vain.
const PING_AFTER: Duration = Duration::from_secs(2);

/// Longest pause between two attempts to reconnect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(4);

/// How to prove who we are.
#[derive(Clone, Default)]
pub enum NatsAuth {
    /// Not at all.
    #[default]
    None,
    /// A `.creds` file: a user's token and seed.
    CredentialsFile(PathBuf),
    /// A user's seed (`SU...`).
    NkeySeed(String),
}

impl std::fmt::Debug for NatsAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::CredentialsFile(path) => f.debug_tuple("CredentialsFile").field(path).finish(),
            Self::NkeySeed(_) => f.write_str("NkeySeed(..)"),
        }
    }
}

/// Where and how to connect.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// One or more servers of one cluster, `nats://host:port` or `tls://host:port`.
    pub urls: Vec<String>,
    /// How to prove who we are.
    pub auth: NatsAuth,
    /// A file of PEM certificates to trust, besides the system's; TLS is then required.
    pub tls_ca: Option<PathBuf>,
    /// Who we are to a server that asks for a certificate; TLS is then required.
    pub tls_identity: Option<TlsIdentity>,
    /// What the subjects begin with on which answers come: `_INBOX.wattle.all` when `None`. With a beginning of its own
    /// for each role, permissions can keep one role from reading another's answers.
    pub inbox_prefix: Option<String>,
    /// The JetStream domain that keeps the buckets; the server's own JetStream when `None`. Behind a leaf node it names
    /// the hub's, whether or not the leaf has a JetStream itself. One word of a subject.
    pub js_domain: Option<String>,
    /// Shown by the server's monitoring.
    pub name: String,
}

/// A certificate of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// A file with the certificate, and those between it and its root (PEM).
    pub certificate: PathBuf,
    /// A file with its key (PEM).
    pub key: PathBuf,
}

/// A connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct NatsBus {
    client: Client,
    refusals: Refusals,
    connection: watch::Receiver<Connection>,
    js_domain: Option<String>,
}

impl NatsBus {
    /// Connects. Later interruptions heal by themselves.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] with the reason; [`BusError::BadSubject`] for a prefix of inboxes or a JetStream
    /// domain that is none.
    pub async fn connect(options: NatsOptions) -> Result<Self, BusError> {
        options.inbox_prefix.as_deref().map_or(Ok(()), subject::check_literal)?;
        options.js_domain.as_deref().map_or(Ok(()), subject::check_token)?;
        let js_domain = options.js_domain.clone();
        let urls = options.urls.join(",");
        let (report, mut connection) = watch::channel(Connection::default());
        let refusals = Refusals::default();
        let client = connect_options(options, report, refusals.clone())
            .await?
            .connect(urls.split(',').map(str::to_owned).collect::<Vec<_>>())
            .await
            .map_err(|error| BusError::Disconnected(format!("{urls}: {error}")))?;
        // Otherwise this connection could later be taken for one that came back.
        if tokio::time::timeout(CONNECT_TIMEOUT, connection.wait_for(|now| now.connects > 0)).await.is_err() {
            tracing::debug!("NATS did not say that it is connected");
        }
        Ok(Self { client, refusals, connection, js_domain })
    }

    /// Returns the connection itself, for what the bus does not offer, such as JetStream.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    fn check_connected(&self) -> Result<(), BusError> {
        if self.is_connected() { Ok(()) } else { Err(disconnected("the connection is down")) }
    }

    fn too_large(&self, headers: &[(String, String)], payload: &Bytes) -> BusError {
        BusError::TooLarge { size: message_len(headers, payload), limit: self.client.max_payload() }
    }

    async fn send(
        &self,
        subject: &str,
        reply: Option<&str>,
        headers: &[(String, String)],
        payload: Bytes,
    ) -> Result<(), BusError> {
        subject::check_literal(subject)?;
        reply.map_or(Ok(()), subject::check_literal)?;
        let too_large = self.too_large(headers, &payload);
        let headers = header_map(headers)?;
        self.check_connected()?;
        let mut refused = reply.map(|_| self.refusals.listen());
        let sending = async {
            let subject = subject.to_owned();
            match (reply.map(str::to_owned), headers) {
                (None, None) => self.client.publish(subject, payload).await,
                (None, Some(headers)) => self.client.publish_with_headers(subject, headers, payload).await,
                (Some(reply), None) => self.client.publish_with_reply(subject, reply, payload).await,
                (Some(reply), Some(headers)) => {
                    self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await
                }
            }
        };
        match tokio::time::timeout(SERVER_TIMEOUT, sending).await {
            Err(_) => Err(disconnected("the server takes no messages")),
            Ok(Ok(())) => match &mut refused {
                None => Ok(()),
                // Otherwise the sender would wait for an answer in vain.
                Some(refused) => self.check_allowed(Use::Publish, subject, refused).await,
            },
            Ok(Err(error)) => Err(match error.kind() {
                async_nats::client::PublishErrorKind::MaxPayloadExceeded => too_large,
                _ => BusError::Disconnected(error.to_string()),
            }),
        }
    }

    async fn ask(
        &self,
        subject: &str,
        headers: &[(String, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Message, BusError> {
        use async_nats::client::RequestErrorKind as Kind;

        subject::check_literal(subject)?;
        let too_large = self.too_large(headers, &payload);
        let headers = header_map(headers)?;
        self.check_connected()?;
        let mut request = Request::new().payload(payload).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let mut refused = self.refusals.listen();
        let asking = tokio::time::timeout(timeout, self.client.send_request(subject.to_owned(), request));
        let asked = tokio::select! {
            biased;
            asked = asking => asked,
            () = refused.about(Use::Publish, subject) => return Err(BusError::NotAllowed { subject: subject.into() }),
        };
        match asked {
            Err(_) => Err(BusError::TimedOut { subject: subject.into(), waited: timeout }),
            Ok(Ok(answer)) => Ok(received(answer)),
            Ok(Err(error)) => Err(match error.kind() {
                Kind::NoResponders => BusError::NoResponders { subject: subject.into() },
                Kind::TimedOut => BusError::TimedOut { subject: subject.into(), waited: timeout },
                Kind::InvalidSubject => BusError::BadSubject(subject.into()),
                Kind::MaxPayloadExceeded => too_large,
                Kind::Other => BusError::Disconnected(error.to_string()),
            }),
        }
    }

    async fn listen(&self, subject: &str, queue: Option<&str>) -> Result<Subscription, BusError> {
        subject::check_pattern(subject)?;
        queue.map_or(Ok(()), subject::check_queue)?;
        self.check_connected()?;
        let mut refused = self.refusals.listen();
        let subscriber = match queue {
            None => self.client.subscribe(subject.to_owned()).await,
            Some(queue) => self.client.queue_subscribe(subject.to_owned(), queue.to_owned()).await,
        }
        .map_err(|error| BusError::Disconnected(error.to_string()))?;
        self.check_allowed(Use::Subscribe, subject, &mut refused).await?;
        let subject = subject.to_owned();
        let refused = async move { refused.about(Use::Subscribe, &subject).await };
        Ok(Subscription::new(subscriber.map(received).take_until(Box::pin(refused))))
    }

    /// Waits until the server has seen what was sent before, and fails where it refused this use of `subject`.
    async fn check_allowed(&self, wanted: Use, subject: &str, refused: &mut Heard) -> Result<(), BusError> {
        self.round_trip().await?;
        // It has come before the answer, but goes another way through the client.
        match tokio::time::timeout(REFUSAL_TIMEOUT, refused.about(wanted, subject)).await {
            Ok(()) => Err(BusError::NotAllowed { subject: subject.into() }),
            Err(_) => Ok(()),
        }
    }

    /// Waits until the server has seen everything sent before: a message to ourselves comes back behind it, whoever
    /// else listens. Whoever may not send or hear it is told so in the same order.
    async fn round_trip(&self) -> Result<(), BusError> {
        self.check_connected()?;
        let inbox = self.new_inbox();
        let [mut unsent, mut unheard] = [self.refusals.listen(), self.refusals.listen()];
        let echo = self.client.send_request(inbox.clone(), Request::new().inbox(inbox.clone()).timeout(None));
        tokio::select! {
            biased;
            echoed = tokio::time::timeout(SERVER_TIMEOUT, echo) => match echoed {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(BusError::Disconnected(error.to_string())),
                Err(_) => Err(disconnected("the server did not confirm the subscription")),
            },
            () = unsent.about(Use::Publish, &inbox) => Ok(()),
            () = unheard.about(Use::Subscribe, &inbox) => Ok(()),
        }
    }

    async fn close(&self) {
        let mut connection = self.connection.clone();
        if connection.borrow().is_closed || self.client.drain().await.is_err() {
            return;
        }
        if tokio::time::timeout(DRAIN_TIMEOUT, connection.wait_for(|now| now.is_closed)).await.is_err() {
            tracing::warn!("NATS did not close the connection in time");
        }
    }
}

async fn connect_options(
    options: NatsOptions,
    report: watch::Sender<Connection>,
    refusals: Refusals,
) -> Result<ConnectOptions, BusError> {
    let mut connect = ConnectOptions::new()
        .name(options.name)
        .connection_timeout(CONNECT_TIMEOUT)
        .subscription_capacity(SUBSCRIPTION_LEN_MAX)
        .ping_interval(PING_AFTER)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_pause)
        .event_callback(move |event| {
            match &event {
                async_nats::Event::Connected => report.send_modify(|now| now.connects += 1),
                async_nats::Event::Closed => report.send_modify(|now| now.is_closed = true),
                async_nats::Event::ServerError(async_nats::ServerError::Other(error)) => refusals.tell(error),
                _ => {}
            }
            async move { log(&event) }
        });
    if let Some(path) = options.tls_ca {
        connect = connect.add_root_certificates(path).require_tls(true);
    }
    if let Some(TlsIdentity { certificate, key }) = options.tls_identity {
        connect = connect.add_client_certificate(certificate, key).require_tls(true);
    }
    connect = connect.custom_inbox_prefix(options.inbox_prefix.unwrap_or_else(|| INBOX_PREFIX.into()));
    match options.auth {
        NatsAuth::None => Ok(connect),
        NatsAuth::NkeySeed(seed) => Ok(connect.nkey(seed)),
        NatsAuth::CredentialsFile(path) => connect
            .credentials_file(&path)
            .await
            .map_err(|error| BusError::Disconnected(format!("credentials {}: {error}", path.display()))),
    }
}

/// Doubles from 50 ms to [`RECONNECT_PAUSE_MAX`].
fn reconnect_pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    (Duration::from_millis(50) * 2_u32.pow(doublings)).min(RECONNECT_PAUSE_MAX)
}

fn log(event: &async_nats::Event) {
    use async_nats::Event;
    match event {
        Event::Connected | Event::Draining | Event::Closed => tracing::info!("NATS: {event}"),
        Event::SlowConsumer(_) => tracing::warn!("NATS: a slow subscription loses messages"),
        _ => tracing::warn!("NATS: {event}"),
    }
}

fn disconnected(why: &str) -> BusError {
    BusError::Disconnected(why.into())
}

fn header_map(headers: &[(String, String)]) -> Result<Option<HeaderMap>, BusError> {
    check_headers(headers)?;
    if headers.is_empty() {
        return Ok(None);
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let bad = || BusError::BadHeader(name.chars().take(80).collect());
        let value: async_nats::HeaderValue = value.parse().map_err(|_| bad())?;
        map.append(name.parse::<async_nats::HeaderName>().map_err(|_| bad())?, value);
    }
    Ok(Some(map))
}

fn received(message: async_nats::Message) -> Message {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        headers.extend(values.iter().map(|value| (name.to_string(), value.as_str().to_owned())));
    }
    if let Some(status) = message.status {
        headers.push((STATUS_HEADER.into(), status.as_u16().to_string()));
    }
    headers.sort_by(|(left, _), (right, _)| left.cmp(right));
    Message {
        subject: message.subject.to_string(),
        reply: message.reply.map(|reply| reply.to_string()),
        payload: message.payload,
        headers,
    }
}

impl Bus for NatsBus {
    fn publish<'a>(
        &'a self,
        subject: &'a str,
        reply: Option<&'a str>,
        headers: &'a [(String, String)],
        payload: Bytes,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        Box::pin(self.send(subject, reply, headers, payload))
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        headers: &'a [(String, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Message, BusError>> {
        Box::pin(self.ask(subject, headers, payload, timeout))
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, BusError>> {
        Box::pin(self.listen(subject, queue))
    }

    fn new_inbox(&self) -> String {
        self.client.new_inbox()
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close())
    }

    fn is_connected(&self) -> bool {
        !self.connection.borrow().is_closed && self.client.connection_state() == State::Connected
    }

    fn connections(&self) -> u64 {
        self.connection.borrow().connects
    }

    fn server_version(&self) -> Option<NatsVersion> {
        NatsVersion::parse(&self.client.server_info().version)
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>> {
        Box::pin(jetstream::open(self, name))
    }
}

impl Link for NatsBus {
    fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    fn js_domain(&self) -> Option<&str> {
        self.js_domain.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let pauses: Vec<_> = [0, 1, 2, 3, 7, 8, 1000].map(|n| reconnect_pause(n).as_millis()).into();
        assert_eq!(pauses, [50, 50, 100, 200, 3200, 4000, 4000]);
    }

    #[test]
    fn a_seed_is_not_shown() {
        let options = NatsOptions { auth: NatsAuth::NkeySeed("SUSECRET".into()), ..NatsOptions::default() };
        assert!(!format!("{options:?}").contains("SECRET"));
    }
}
