//! Who gets a message.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::time::Instant;

use super::world::{Care, Down, World};
use crate::{Message, bus::STATUS_HEADER, subject};

/// A subscription, as the broker knows it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) link: u64,
    pub(super) pattern: String,
    pub(super) queue: Option<String>,
}

/// Start of the subjects at which a connection awaits answers to its requests; its number follows.
pub(super) const ANSWERS: &str = "_INBOX.r";

impl World {
    /// Hands a message on, to JetStream too.
    pub(super) fn publish(&mut self, message: Message, now: Instant) {
        if let Some(answer) = self.store.answer(&message) {
            if let Some(reply) = &message.reply {
                let answer = Message { subject: reply.clone(), reply: None, payload: answer, headers: Vec::new() };
                self.deliver(&answer, now);
            }
            self.push(now);
            return;
        }
        let heard = self.deliver(&message, now);
        if let (0, Some(reply)) = (heard, message.reply) {
            let headers = vec![(STATUS_HEADER.to_owned(), "503".to_owned())];
            self.deliver(&Message { subject: reply, reply: None, payload: Bytes::new(), headers }, now);
        }
    }

    /// Sends a message to whoever is to get it; returns to how many.
    fn deliver(&mut self, message: &Message, now: Instant) -> usize {
        let receivers = self.receivers(&message.subject, now);
        for (link, entry) in &receivers {
            self.send_down(*link, Down::Deliver(*entry, message.clone()), Care::Plain, now);
        }
        receivers.len()
    }

    /// Returns connections and their subscriptions: every plain one, and one of each queue group, that match. A
    /// request's answer has a connection only.
    pub(super) fn receivers(&mut self, subject: &str, now: Instant) -> Vec<(u64, Option<u64>)> {
        if let Some(rest) = subject.strip_prefix(ANSWERS) {
            let link = rest.split('.').next().and_then(|number| number.parse().ok());
            return link.filter(|link| self.is_there(*link, now)).map(|link| (link, None)).into_iter().collect();
        }
        let mut receivers = Vec::new();
        let mut groups: BTreeMap<String, Vec<(u64, Option<u64>)>> = BTreeMap::new();
        for (id, entry) in &self.entries {
            if !subject::matches(&entry.pattern, subject) || !self.is_there(entry.link, now) {
                continue;
            }
            match &entry.queue {
                None => receivers.push((entry.link, Some(*id))),
                Some(queue) => groups.entry(queue.clone()).or_default().push((entry.link, Some(*id))),
            }
        }
        for members in groups.into_values() {
            let chosen = self.draw(u64::try_from(members.len()).unwrap_or(u64::MAX));
            receivers.extend(usize::try_from(chosen).ok().and_then(|chosen| members.get(chosen)));
        }
        receivers
    }

    /// Returns whether the broker takes a connection for alive.
    fn is_there(&self, link: u64, now: Instant) -> bool {
        self.links.get(&link).is_some_and(|link| !link.is_down(now))
    }
}
