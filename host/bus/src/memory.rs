//! A bus inside one process.
//!
//! Owns one table of subscriptions behind a mutex that is never held over an await. Every message is delivered within
//! the call that sends it, in the order of the subscriptions; the only choice ever made, which member of a queue group
//! gets a message, is `choose`.

mod kv;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use wattle_types::BoxFuture;

use crate::{
    Bus, BusError, KvError, KvStore, Message, Subscription,
    bus::{MESSAGE_LEN_MAX, STATUS_HEADER, check_headers, message_len},
    subject,
};

/// Messages one subscription may hold before the next are lost. Small bursts fit; a stuck receiver costs little.
const SUBSCRIPTION_LEN_MAX: usize = 4096;

/// One connection to an in-process network.
///
/// [`MemoryBus::new`] makes a network; [`MemoryBus::connect`] joins it. Draining ends the subscriptions of its own
/// connection only, as with NATS. Clones share the connection.
#[derive(Debug, Clone)]
pub struct MemoryBus {
    network: Arc<Mutex<Network>>,
    connection: u64,
}

#[derive(Debug, Default)]
struct Network {
    /// By order of subscription, which is the order of delivery.
    subscriptions: BTreeMap<u64, Entry>,
    /// Connections that may send and subscribe.
    connections: BTreeSet<u64>,
    next_id: u64,
    /// How many messages each queue group got.
    turns: BTreeMap<String, usize>,
    buckets: BTreeMap<String, kv::Bucket>,
}

#[derive(Debug)]
struct Entry {
    connection: u64,
    pattern: String,
    queue: Option<String>,
    sender: mpsc::Sender<Message>,
    lost: u64,
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBus {
    /// Makes a network with this one connection.
    #[must_use]
    pub fn new() -> Self {
        let mut network = Network::default();
        let connection = network.connect();
        Self { network: Arc::new(Mutex::new(network)), connection }
    }

    /// Makes another connection to the same network.
    #[must_use]
    pub fn connect(&self) -> Self {
        let connection = self.lock().connect();
        Self { network: Arc::clone(&self.network), connection }
    }

    /// A panic while the lock was held leaves a table that is still whole: every change to it is one insert or remove.
    fn lock(&self) -> MutexGuard<'_, Network> {
        lock(&self.network)
    }

    fn send(&self, message: Message) -> Result<(), BusError> {
        check_headers(&message.headers)?;
        let mut network = self.lock();
        network.check_open(self.connection)?;
        let (subject, reply) = (message.subject.clone(), message.reply.clone());
        if let (0, Some(reply)) = (network.deliver(message)?, reply) {
            let status = (STATUS_HEADER.to_owned(), "503".to_owned());
            network.deliver(Message { subject: reply, reply: None, payload: Bytes::new(), headers: vec![status] })?;
            tracing::trace!(subject, "no responders");
        }
        Ok(())
    }

    fn listen(&self, pattern: &str, queue: Option<&str>) -> Result<Receiver, BusError> {
        let mut network = self.lock();
        network.check_open(self.connection)?;
        let (sender, messages) = mpsc::channel(SUBSCRIPTION_LEN_MAX);
        let id = network.take_id();
        let queue = queue.map(Into::into);
        let entry = Entry { connection: self.connection, pattern: pattern.into(), queue, sender, lost: 0 };
        network.subscriptions.insert(id, entry);
        Ok(Receiver { id, messages, network: Arc::clone(&self.network) })
    }

    async fn ask(
        &self,
        subject: &str,
        headers: &[(String, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Message, BusError> {
        subject::check_literal(subject)?;
        let inbox = self.new_inbox();
        let mut receiver = self.listen(&inbox, None)?;
        self.send(message(subject, Some(&inbox), headers, payload))?;
        let answer = tokio::time::timeout(timeout, receiver.messages.recv()).await;
        match answer {
            Ok(Some(answer)) if answer.is_no_responders() => Err(BusError::NoResponders { subject: subject.into() }),
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(closed()),
            Err(_) => Err(BusError::TimedOut { subject: subject.into(), waited: timeout }),
        }
    }
}

fn lock(network: &Mutex<Network>) -> MutexGuard<'_, Network> {
    network.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> BusError {
    BusError::Disconnected("the connection was closed".into())
}

fn message(subject: &str, reply: Option<&str>, headers: &[(String, String)], payload: Bytes) -> Message {
    let mut headers = headers.to_vec();
    headers.sort_by(|(left, _), (right, _)| left.cmp(right));
    Message { subject: subject.into(), reply: reply.map(Into::into), payload, headers }
}

impl Network {
    const fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn connect(&mut self) -> u64 {
        let id = self.take_id();
        self.connections.insert(id);
        id
    }

    fn check_open(&self, connection: u64) -> Result<(), BusError> {
        if self.connections.contains(&connection) { Ok(()) } else { Err(closed()) }
    }

    /// Hands a message to every plain subscription and to one member of each queue group that match; returns how many
    /// were meant to get it, whether or not their buffers had room.
    fn deliver(&mut self, message: Message) -> Result<usize, BusError> {
        let size = message_len(&message.headers, &message.payload);
        if size > MESSAGE_LEN_MAX {
            return Err(BusError::TooLarge { size, limit: MESSAGE_LEN_MAX });
        }
        let receivers = self.receivers(&message.subject);
        for id in &receivers {
            if let Some(entry) = self.subscriptions.get_mut(id) {
                entry.offer(message.clone());
            }
        }
        Ok(receivers.len())
    }

    fn receivers(&mut self, subject: &str) -> Vec<u64> {
        let mut plain = Vec::new();
        let mut groups: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (id, entry) in &self.subscriptions {
            if !subject::matches(&entry.pattern, subject) {
                continue;
            }
            match &entry.queue {
                None => plain.push(*id),
                Some(queue) => groups.entry(queue).or_default().push(*id),
            }
        }
        for (queue, members) in groups {
            plain.extend(choose(&mut self.turns, queue, &members));
        }
        plain.sort_unstable();
        plain
    }

    fn remove(&mut self, id: u64) {
        let Some(entry) = self.subscriptions.remove(&id) else { return };
        let Some(queue) = entry.queue else { return };
        if !self.subscriptions.values().any(|other| other.queue.as_ref() == Some(&queue)) {
            self.turns.remove(&queue);
        }
    }

    fn close(&mut self, connection: u64) {
        self.connections.remove(&connection);
        let ours = |(id, entry): (&u64, &Entry)| (entry.connection == connection).then_some(*id);
        for id in self.subscriptions.iter().filter_map(ours).collect::<Vec<_>>() {
            self.remove(id);
        }
        self.buckets.values().for_each(kv::Bucket::wake);
    }
}

/// The scheduling decision: which member of a queue group gets the next message. In turn, so that it is the same in
/// every run.
fn choose(turns: &mut BTreeMap<String, usize>, queue: &str, members: &[u64]) -> Option<u64> {
    let turn = turns.entry(queue.to_owned()).or_default();
    let chosen = members.get(turn.checked_rem(members.len())?).copied();
    *turn = turn.wrapping_add(1);
    chosen
}

impl Entry {
    fn offer(&mut self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(message)) = self.sender.try_send(message) {
            self.lost += 1;
            // A receiver that stays stuck must not fill the log too.
            if self.lost.is_power_of_two() {
                tracing::warn!(subject = message.subject, lost = self.lost, "a slow subscription loses messages");
            }
        }
    }
}

/// The receiving end: leaves the network when dropped.
struct Receiver {
    id: u64,
    messages: mpsc::Receiver<Message>,
    network: Arc<Mutex<Network>>,
}

impl Stream for Receiver {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        lock(&self.network).remove(self.id);
    }
}

impl Bus for MemoryBus {
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
        Box::pin(async move {
            subject::check_pattern(subject)?;
            queue.map_or(Ok(()), subject::check_queue)?;
            self.listen(subject, queue).map(Subscription::new)
        })
    }

    fn new_inbox(&self) -> String {
        format!("_INBOX.{}.{}", self.connection, self.lock().take_id())
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.lock().close(self.connection) })
    }

    fn is_connected(&self) -> bool {
        self.lock().check_open(self.connection).is_ok()
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>> {
        Box::pin(async move { self.open_bucket(name) })
    }
}
