//! The broker's JetStream: as much of it as buckets need.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Flaw,
    world::{Care, Down, Event, World},
};
use crate::{
    Expect, KvEvent, KvLast, Message,
    bus::STATUS_HEADER,
    jetstream::{EXPECTED_HEADER, HEARTBEAT, LAST_HEADER, OPERATION_HEADER},
    kv::table::Table,
};

/// Answers remembered, so that a request that arrives twice is fulfilled once.
const ANSWERED_MAX: usize = 4096;

/// What is stored, and who watches it. It outlives the broker, its consumers do not.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By the bucket's name.
    tables: BTreeMap<String, Table>,
    /// How many times each bucket was made.
    made: BTreeMap<String, u64>,
    consumers: BTreeMap<u64, Consumer>,
    last_consumer: u64,
    /// Consumers that have not had a heartbeat yet.
    newborn: Vec<u64>,
    /// By reply subject.
    answered: BTreeMap<String, Bytes>,
    order: VecDeque<String>,
    pub(super) flaw: Option<Flaw>,
    /// With [`Flaw::SilentPurge`]: how many entries each bucket had when it was purged.
    purged: BTreeMap<String, usize>,
    /// With [`Flaw::BothAccepted`]: the revision before the last of each subject.
    before: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Consumer {
    bucket: String,
    inbox: String,
    /// Last revision delivered.
    seen: u64,
    /// Deliveries so far.
    number: u64,
}

impl Store {
    pub(super) fn lose(&mut self, bucket: &str) {
        self.tables.remove(bucket);
        self.consumers.retain(|_, consumer| consumer.bucket != bucket);
    }

    pub(super) fn purge(&mut self, bucket: &str) {
        let Some(table) = self.tables.get_mut(bucket) else { return };
        *self.purged.entry(bucket.into()).or_default() += table.len();
        table.purge();
    }

    pub(super) fn forget_consumers(&mut self) {
        self.consumers.clear();
    }

    /// Fulfils a request, if it is one to JetStream, and returns the answer.
    pub(super) fn answer(&mut self, message: &Message) -> Option<Bytes> {
        let answered = message.reply.as_ref().and_then(|reply| self.answered.get(reply));
        if let Some(answer) = answered {
            return Some(answer.clone());
        }
        let answer = Bytes::from(match message.subject.strip_prefix("$JS.API.") {
            Some(call) => self.call(call, &message.payload)?.to_string(),
            None => self.write(message)?.to_string(),
        });
        if let Some(reply) = &message.reply {
            self.remember(reply, &answer);
        }
        Some(answer)
    }

    fn remember(&mut self, reply: &str, answer: &Bytes) {
        if self.order.len() == ANSWERED_MAX {
            self.order.pop_front().map(|oldest| self.answered.remove(&oldest));
        }
        self.order.push_back(reply.into());
        self.answered.insert(reply.into(), answer.clone());
    }

    fn call(&mut self, call: &str, body: &[u8]) -> Option<Value> {
        let (verb, bucket) = call.rsplit_once(".KV_")?;
        let body: Value = serde_json::from_slice(body).ok()?;
        if verb == "STREAM.CREATE" {
            if !self.tables.contains_key(bucket) {
                *self.made.entry(bucket.into()).or_default() += 1;
                self.tables.insert(bucket.into(), Table::default());
            }
            return self.info(bucket);
        }
        let Some(table) = self.tables.get(bucket) else { return Some(refusal(10059, "stream not found")) };
        match verb {
            "STREAM.INFO" => self.info(bucket),
            "STREAM.MSG.GET" => {
                let is_silent = self.flaw == Some(Flaw::SilentPurge) && self.purged.contains_key(bucket);
                Some(last(table, bucket, body.get("last_by_subj")?.as_str()?, is_silent))
            }
            "CONSUMER.CREATE" => {
                let pending = table.count_after(0);
                let inbox = body.get("config")?.get("deliver_subject")?.as_str()?.to_owned();
                self.last_consumer += 1;
                let consumer = Consumer { bucket: bucket.into(), inbox, seen: 0, number: 0 };
                self.consumers.insert(self.last_consumer, consumer);
                self.newborn.push(self.last_consumer);
                Some(json!({ "num_pending": pending }))
            }
            _ => None,
        }
    }

    fn info(&self, bucket: &str) -> Option<Value> {
        let (table, made) = (self.tables.get(bucket)?, self.made.get(bucket).copied().unwrap_or_default());
        let hidden = self.purged.get(bucket).filter(|_| self.flaw == Some(Flaw::SilentPurge)).copied();
        let messages = table.len() + hidden.unwrap_or_default();
        let state = json!({ "last_seq": table.revision(), "messages": messages });
        Some(json!({ "config": { "name": format!("KV_{bucket}") }, "created": made.to_string(), "state": state }))
    }

    fn write(&mut self, message: &Message) -> Option<Value> {
        let (bucket, key) = message.subject.strip_prefix("$KV.")?.split_once('.')?;
        let is_silent = self.flaw == Some(Flaw::SilentPurge) && self.purged.contains_key(bucket);
        let table = self.tables.get_mut(bucket)?;
        let header = |name| message.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        let wrong = || refusal(10071, "wrong last sequence");
        let expect = match header(EXPECTED_HEADER).map(|revision| revision.parse::<u64>()) {
            None => Expect::Any,
            Some(Ok(0)) if table.last(key).is_none() => Expect::Any,
            Some(Ok(1)) if is_silent && table.last(key).is_none() => Expect::Any,
            // As if two servers of a cluster had looked at the same moment.
            Some(Ok(revision)) if self.before.get(&message.subject) == Some(&revision) => Expect::Any,
            Some(Ok(revision)) => Expect::Revision(revision),
            Some(Err(_)) => return Some(refusal(10003, "bad request")),
        };
        if self.flaw == Some(Flaw::BothAccepted) {
            let last = table.last(key).map_or(0, |last| last.revision);
            self.before.insert(message.subject.clone(), last);
        }
        let value = header(OPERATION_HEADER).is_none().then(|| message.payload.clone());
        let written = table.write(key, value, expect);
        Some(written.map_or_else(|_| wrong(), |revision| json!({ "stream": format!("KV_{bucket}"), "seq": revision })))
    }

    /// Takes a consumer's next delivery.
    fn next(&mut self, id: u64) -> Option<Message> {
        let consumer = self.consumers.get_mut(&id)?;
        let table = self.tables.get(&consumer.bucket)?;
        let (revision, event) = table.after(consumer.seen)?;
        consumer.seen = revision;
        consumer.number += 1;
        let (number, pending) = (consumer.number, table.count_after(revision));
        let reply = Some(format!("$JS.ACK.KV_{}.c{id}.1.{revision}.{number}.0.{pending}", consumer.bucket));
        let (key, payload, headers) = match event {
            KvEvent::Put(entry) => (entry.key, entry.value, Vec::new()),
            KvEvent::Delete { key, .. } => (key, Bytes::new(), vec![(OPERATION_HEADER.into(), "PURGE".into())]),
            KvEvent::CaughtUp | KvEvent::Reset { .. } => return None,
        };
        Some(Message { subject: format!("$KV.{}.{key}", consumer.bucket), reply, payload, headers })
    }
}

fn refusal(code: u64, why: &str) -> Value {
    json!({ "error": { "code": 400, "err_code": code, "description": why } })
}

fn last(table: &Table, bucket: &str, subject: &str, is_silent: bool) -> Value {
    let key =
        subject.strip_prefix("$KV.").and_then(|rest| rest.strip_prefix(bucket)).and_then(|key| key.strip_prefix('.'));
    let gone = KvLast { revision: 1, value: None };
    let Some(KvLast { revision, value }) = key.and_then(|key| table.last(key)).or(is_silent.then_some(gone)) else {
        return refusal(10037, "no message found");
    };
    let headers = if value.is_some() { "" } else { "NATS/1.0\r\nKV-Operation: PURGE\r\n\r\n" };
    let data = BASE64.encode(&value.unwrap_or_default());
    json!({ "message": { "subject": subject, "seq": revision, "data": data, "hdrs": BASE64.encode(headers.as_bytes()) } })
}

impl World {
    /// Sends consumers what they have not sent yet.
    pub(super) fn push(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.store.newborn) {
            self.at(now + HEARTBEAT, Event::Heartbeat(id));
        }
        for id in self.store.consumers.keys().copied().collect::<Vec<_>>() {
            while let Some(message) = self.store.next(id) {
                self.tell(id, message, now);
            }
        }
    }

    /// A consumer says how far it is, or ends if nobody listens to it.
    pub(super) fn heartbeat(&mut self, id: u64, now: Instant) {
        let Some(consumer) = self.store.consumers.get(&id) else { return };
        let headers = vec![(LAST_HEADER.into(), consumer.number.to_string()), (STATUS_HEADER.into(), "100".into())];
        let beat = Message { subject: consumer.inbox.clone(), reply: None, payload: Bytes::new(), headers };
        if self.tell(id, beat, now) == 0 {
            self.store.consumers.remove(&id);
            return;
        }
        self.at(now + HEARTBEAT, Event::Heartbeat(id));
    }

    fn tell(&mut self, id: u64, message: Message, now: Instant) -> usize {
        let Some(inbox) = self.store.consumers.get(&id).map(|consumer| consumer.inbox.clone()) else { return 0 };
        let receivers = self.receivers(&inbox, now);
        for (link, entry) in &receivers {
            self.send_down(*link, Down::Deliver(*entry, message.clone()), Care::Ordered, now);
        }
        receivers.len()
    }
}
