//! The interface both implementations fulfil.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use wattle_types::BoxFuture;

use crate::{KvError, KvStore, nats_server::NatsVersion, subject};

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was sent.
    pub subject: String,
    /// Where the sender waits for an answer.
    pub reply: Option<String>,
    /// Its bytes.
    pub payload: Bytes,
    /// Its headers, sorted by name; names are case-sensitive, as in NATS.
    pub headers: Vec<(String, String)>,
}

impl Message {
    /// Returns whether this is not an answer but the bus saying that nobody listens on the subject which a message
    /// with this reply subject was published to.
    #[must_use]
    pub fn is_no_responders(&self) -> bool {
        self.payload.is_empty() && self.headers.iter().any(|(name, value)| name == STATUS_HEADER && value == "503")
    }

    /// Returns whether the sender wants its answer on a subject that is no inbox. Such a request is to be dropped: NATS
    /// lets a sender name any subject for the answer, also one that it may not publish to itself but who answers may.
    #[must_use]
    pub fn wants_answer_elsewhere(&self) -> bool {
        self.reply.as_deref().is_some_and(|reply| !subject::is_inbox(reply))
    }
}

/// Largest message, headers included, in bytes, that our own servers and buses take: as much as NATS recommends at
/// most. Payloads of calls grow by a third on their way.
pub(crate) const MESSAGE_LEN_MAX: usize = 8 * 1024 * 1024;

/// The header that carries a status of the bus itself.
pub(crate) const STATUS_HEADER: &str = "Status";

/// Returns the bytes that count against the bus's limit: payload, and headers with what separates them.
pub(crate) fn message_len(headers: &[(String, String)], payload: &Bytes) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + payload.len()
}

/// Why a message was not sent or not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// Nobody listens on the subject: known at once, so a retry elsewhere costs nothing.
    #[error("nobody listens on {subject}")]
    NoResponders {
        /// The subject.
        subject: String,
    },
    /// Somebody may be listening, but no answer came.
    #[error("no answer on {subject} within {waited:?}")]
    TimedOut {
        /// The subject.
        subject: String,
        /// How long we waited.
        waited: Duration,
    },
    /// NATS's permissions refuse it to the user we are.
    #[error("NATS does not allow this user to use {subject}")]
    NotAllowed {
        /// The subject.
        subject: String,
    },
    /// There is no connection.
    #[error("not connected to NATS: {0}")]
    Disconnected(String),
    /// The payload is larger than the server takes.
    #[error("a message of {size} bytes is too large for the bus, which takes {limit}")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The subject is not one.
    #[error("{0:?} is not a subject")]
    BadSubject(String),
    /// The header has characters its name or value cannot hold.
    #[error("{0:?} is not a header")]
    BadHeader(String),
}

impl BusError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoResponders { .. } => "no_responders",
            Self::TimedOut { .. } => "bus_timed_out",
            Self::NotAllowed { .. } => "bus_not_allowed",
            Self::Disconnected(_) => "bus_disconnected",
            Self::TooLarge { .. } => "payload_too_large",
            Self::BadSubject(_) => "subject_invalid",
            Self::BadHeader(_) => "header_invalid",
        }
    }
}

/// Checks that names are printable ASCII without colons and values stay on their line.
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<(), BusError> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    match headers.iter().find(|(name, value)| !is_name(name) || value.contains(['\r', '\n'])) {
        Some((name, _)) => Err(BusError::BadHeader(name.chars().take(80).collect())),
        None => Ok(()),
    }
}

/// A way to send and receive messages by subject, with NATS's meaning of subjects, wildcards and queue groups.
pub trait Bus: Send + Sync + 'static {
    /// Sends a message to whoever listens, with an optional subject for answers.
    ///
    /// With one, and nobody listening, a message for which [`Message::is_no_responders`] holds arrives there at once.
    ///
    /// # Errors
    /// [`BusError::Disconnected`], [`BusError::TooLarge`], [`BusError::BadSubject`] or [`BusError::BadHeader`]; with a
    /// reply subject also [`BusError::NotAllowed`]. Success means handed over, not received.
    fn publish<'a>(
        &'a self,
        subject: &'a str,
        reply: Option<&'a str>,
        headers: &'a [(String, String)],
        payload: Bytes,
    ) -> BoxFuture<'a, Result<(), BusError>>;

    /// Sends a message and waits for its first answer.
    ///
    /// # Errors
    /// [`BusError::NoResponders`] at once when nobody listens; [`BusError::TimedOut`] after `timeout`;
    /// [`BusError::NotAllowed`] where permissions refuse it.
    fn request<'a>(
        &'a self,
        subject: &'a str,
        headers: &'a [(String, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Message, BusError>>;

    /// Receives what is sent to `subject` (wildcards `*` and `>` allowed) from the moment this returns.
    ///
    /// Members of one `queue` group share the messages; without one, everybody gets all.
    ///
    /// # Errors
    /// [`BusError::Disconnected`], [`BusError::BadSubject`] or [`BusError::NotAllowed`].
    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, BusError>>;

    /// Returns a subject nobody else uses, for answers.
    fn new_inbox(&self) -> String;

    /// Sends what is buffered, ends all subscriptions after what already arrived, and closes.
    fn drain(&self) -> BoxFuture<'_, ()>;

    /// Returns whether the connection stands, as far as is known right now.
    fn is_connected(&self) -> bool;

    /// Returns how many connections there have been. When it grows, messages on their way to us may have been lost.
    fn connections(&self) -> u64 {
        1
    }

    /// Returns the version of the server we are connected to, if there is one and it tells.
    fn server_version(&self) -> Option<NatsVersion> {
        None
    }

    /// Opens a key-value bucket, made if it is not there: in a file, the last write of each key.
    ///
    /// One that is there is taken as it is. All that is stored outlives the connection.
    ///
    /// # Errors
    /// [`KvError::Unavailable`] without a connection or where nothing can be stored; [`KvError::TimedOut`] or
    /// [`KvError::BadKey`].
    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>>;
}

/// Messages of one subscription, in order. Dropping it unsubscribes.
///
/// Bounded: a receiver too slow to keep up loses messages rather than slowing others, and that is logged.
pub struct Subscription {
    messages: Pin<Box<dyn Stream<Item = Message> + Send>>,
}

impl Subscription {
    /// Wraps a stream of messages; dropping the stream must unsubscribe.
    #[must_use]
    pub fn new(messages: impl Stream<Item = Message> + Send + 'static) -> Self {
        Self { messages: Box::pin(messages) }
    }

    /// Returns the next message, or `None` when the subscription has ended.
    ///
    /// # Cancel safety
    /// Safe: no message is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|context| self.messages.as_mut().poll_next(context)).await
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription")
    }
}
