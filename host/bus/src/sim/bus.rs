//! One connection to a simulated network.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use wattle_types::BoxFuture;

use super::{
    Cut, Faults, Inner,
    broker::ANSWERS,
    world::{Care, Up},
};
use crate::{
    Bus, BusError, KvError, KvStore, Message, Subscription,
    bus::{MESSAGE_LEN_MAX, check_headers, message_len},
    jetstream::{self, Connection, Link},
    subject, watch,
};

/// How long the broker may take to confirm something.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection of a [`SimNet`](super::SimNet), and the faults it suffers. Clones share it.
#[derive(Clone)]
pub struct SimBus {
    net: Arc<Inner>,
    id: u64,
    state: watch::Receiver<Connection>,
}

impl SimBus {
    pub(super) fn new(net: Arc<Inner>, id: u64) -> Self {
        let state = net.lock().links.get(&id).map(|link| link.state.subscribe());
        // There is none only for an id that was never given out: then the connection is closed.
        let closed = || watch::Sender::new(Connection { connects: 0, is_closed: true }).subscribe();
        Self { net, id, state: state.unwrap_or_else(closed) }
    }

    /// Sets what messages suffer from now on.
    pub fn set_faults(&self, faults: Faults) {
        if let Some(link) = self.net.lock().links.get_mut(&self.id) {
            link.faults = faults;
        }
    }

    /// Cuts the connection off from the broker, or mends it.
    pub fn cut(&self, cut: Cut) {
        self.net.act(|world, now| world.cut(self.id, cut, now));
    }

    /// Ends the connection at once, as when the host's process dies: subscriptions end, requests fail.
    pub fn crash(&self) {
        self.net.act(|world, now| world.close(self.id, now));
    }

    fn send(&self, message: Message) -> Result<(), BusError> {
        check_headers(&message.headers)?;
        let size = message_len(&message.headers, &message.payload);
        if size > MESSAGE_LEN_MAX {
            return Err(BusError::TooLarge { size, limit: MESSAGE_LEN_MAX });
        }
        self.net.act(|world, now| {
            world.open_link(self.id, now)?;
            world.send_up(self.id, Up::Publish(message), Care::Plain, now);
            Ok(())
        })
    }

    async fn ask(
        &self,
        subject: &str,
        headers: &[(String, String)],
        payload: Bytes,
        patience: Duration,
    ) -> Result<Message, BusError> {
        subject::check_literal(subject)?;
        let inbox = format!("{ANSWERS}{}.{}", self.id, self.net.lock().take_id());
        let (sender, answer) = oneshot::channel();
        self.net
            .act(|world, now| world.open_link(self.id, now).map(|link| link.requests.insert(inbox.clone(), sender)))?;
        let _waiting = Waiting { net: &self.net, id: self.id, inbox: &inbox };
        self.send(message(subject, Some(&inbox), headers, payload))?;
        match timeout(patience, answer).await {
            Ok(Ok(answer)) if answer.is_no_responders() => Err(BusError::NoResponders { subject: subject.into() }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(BusError::Disconnected("the connection was closed".into())),
            Err(_) => Err(BusError::TimedOut { subject: subject.into(), waited: patience }),
        }
    }

    async fn listen(&self, pattern: &str, queue: Option<&str>) -> Result<Subscription, BusError> {
        subject::check_pattern(pattern)?;
        queue.map_or(Ok(()), subject::check_queue)?;
        let (id, messages) = self.net.act(|world, now| {
            let id = world.take_id();
            let link = world.open_link(self.id, now)?;
            let (sender, messages) = mpsc::channel(link.faults.buffer.max(1));
            link.subscriptions.insert(id, sender);
            Ok::<_, BusError>((id, messages))
        })?;
        let receiver = Receiver { net: Arc::clone(&self.net), link: self.id, id, messages };
        self.confirmed(Up::Subscribe(id, pattern.into(), queue.map(Into::into)), id).await?;
        Ok(Subscription::new(receiver))
    }

    /// Sends something and waits until the broker confirms it.
    async fn confirmed(&self, frame: Up, id: u64) -> Result<(), BusError> {
        let (sender, confirmed) = oneshot::channel();
        self.net.act(|world, now| {
            world.open_link(self.id, now)?.confirmations.insert(id, sender);
            world.send_up(self.id, frame, Care::Exact, now);
            Ok::<_, BusError>(())
        })?;
        let confirmed = timeout(BROKER_TIMEOUT, confirmed).await;
        if let Some(link) = self.net.lock().links.get_mut(&self.id) {
            link.confirmations.remove(&id);
        }
        match confirmed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(BusError::Disconnected("the connection was closed".into())),
            Err(_) => Err(BusError::Disconnected("the server did not confirm in time".into())),
        }
    }

    async fn close(&self) {
        let id = self.net.lock().take_id();
        if let Err(error) = self.confirmed(Up::Drain(id), id).await {
            tracing::debug!(%error, "the connection is closed without a word");
        }
        self.crash();
    }
}

fn message(subject: &str, reply: Option<&str>, headers: &[(String, String)], payload: Bytes) -> Message {
    let mut headers = headers.to_vec();
    headers.sort_by(|(left, _), (right, _)| left.cmp(right));
    Message { subject: subject.into(), reply: reply.map(Into::into), payload, headers }
}

/// A request on its way; forgotten when dropped.
struct Waiting<'a> {
    net: &'a Inner,
    id: u64,
    inbox: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.net.lock().links.get_mut(&self.id) {
            link.requests.remove(self.inbox);
        }
    }
}

/// The receiving end of a subscription; unsubscribes when dropped.
struct Receiver {
    net: Arc<Inner>,
    link: u64,
    id: u64,
    messages: mpsc::Receiver<Message>,
}

impl Stream for Receiver {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.net.act(|world, now| {
            let link = world.links.get_mut(&self.link);
            if link.is_some_and(|link| link.subscriptions.remove(&self.id).is_some()) {
                world.send_up(self.link, Up::Unsubscribe(self.id), Care::Certain, now);
            }
        });
    }
}

impl Bus for SimBus {
    fn publish<'a>(
        &'a self,
        subject: &'a str,
        reply: Option<&'a str>,
        headers: &'a [(String, String)],
        payload: Bytes,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            subject::check_literal(subject)?;
            reply.map_or(Ok(()), subject::check_literal)?;
            self.send(message(subject, reply, headers, payload))
        })
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
        format!("_INBOX.s{}.{}", self.id, self.net.lock().take_id())
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close())
    }

    fn is_connected(&self) -> bool {
        self.net.lock().open_link(self.id, Instant::now()).is_ok()
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>> {
        Box::pin(jetstream::open(self, name))
    }
}

impl Link for SimBus {
    fn connection(&self) -> watch::Receiver<Connection> {
        self.state.clone()
    }
}

impl std::fmt::Debug for SimBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimBus").field("id", &self.id).finish_non_exhaustive()
    }
}
