//! One watch: a consumer of JetStream's, and a new one as soon as something may have been missed.

pub(super) mod review;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Connection, LAST_HEADER, Link, SILENCE_MAX,
    api::{Api, says_deletion},
    bounded,
};
use crate::{KvEntry, KvError, KvEvent, KvWatch, Message, Subscription, bus::STATUS_HEADER, watch as state};
use review::Review;

/// Pauses between attempts to make a new consumer.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Opens a watch. Whoever doubts what it told says so by `doubting`.
pub(super) async fn open<L: Link>(api: Api<L>, doubting: Arc<state::Sender<()>>) -> Result<KvWatch, KvError> {
    let (connection, review, heard) = (api.link.connection(), Review::new(api.clone(), doubting), Instant::now());
    let mut watch = Watch { api, connection, feed: None, heard, told: VecDeque::new(), review, has_lost: false };
    watch.reopen().await?;
    Ok(KvWatch::new(futures::stream::unfold(watch, |mut watch| async move { Some((watch.next().await?, watch)) })))
}

struct Watch<L> {
    api: Api<L>,
    connection: state::Receiver<Connection>,
    /// `None` while there is no consumer.
    feed: Option<(Subscription, Feed)>,
    /// When the consumer said something last.
    heard: Instant,
    /// What is to be told next: never more than two.
    told: VecDeque<KvEvent>,
    review: Review<L>,
    /// Something was lost since the last reset.
    has_lost: bool,
}

impl<L: Link> Watch<L> {
    async fn next(&mut self) -> Option<KvEvent> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(event);
            }
            if self.connection.borrow().is_closed {
                return None;
            }
            match &mut self.feed {
                Some((subscription, feed)) => {
                    let message = tokio::select! {
                        biased;
                        _ = self.connection.changed() => None,
                        () = self.review.lost() => None,
                        message = timeout_at(self.heard + SILENCE_MAX, subscription.next()) => message.ok().flatten(),
                    };
                    self.heard = Instant::now();
                    let step = message.map_or(Step::Broken, |message| feed.step(message, &self.api.prefix));
                    self.take(step).await;
                }
                None => self.heal().await?,
            }
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Tell(events) => {
                for event in events {
                    self.review.tell(&event);
                    self.told.push_back(event);
                }
            }
            // JetStream holds back until it is answered; if the answer is lost, silence follows.
            Step::Answer(subject) => {
                if let Err(error) = self.api.link.publish(&subject, None, &[], Bytes::new()).await {
                    tracing::debug!(%error, "flow control is not answered");
                }
            }
            Step::Broken => self.feed = None,
        }
    }

    /// Tries until there is a consumer again, or the connection is closed.
    async fn heal(&mut self) -> Option<()> {
        let mut pause = PAUSE_MIN;
        loop {
            match bounded(self.reopen()).await {
                Ok(()) => break,
                Err(error @ KvError::TooOld { .. }) if pause == PAUSE_MIN => {
                    tracing::error!(%error, "the watch of a bucket is down");
                }
                Err(error) => tracing::debug!(%error, ?pause, "the watch of a bucket is down"),
            }
            // A connection that comes back ends the pause, one that is closed everything.
            let _elapsed = timeout(pause, self.connection.changed()).await;
            if self.connection.borrow().is_closed {
                return None;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let lost = std::mem::take(&mut self.has_lost);
        self.told.push_front(KvEvent::Reset { lost });
        tracing::info!(bucket = self.api.prefix, lost, "the watch of a bucket begins anew");
        Some(())
    }

    async fn reopen(&mut self) -> Result<(), KvError> {
        self.connection.mark_unchanged();
        let inbox = self.api.link.new_inbox();
        let subscription =
            self.api.link.subscribe(&inbox, None).await.map_err(|error| KvError::Unavailable(error.to_string()))?;
        let identity = self.api.ensure().await?;
        self.has_lost |= self.review.begin(identity);
        let gone = || KvError::Unavailable("JetStream refused a watch".into());
        let pending = self.api.consume(&inbox).await.map_err(|failure| failure.or(gone))?;
        let feed = Feed { last: 0, is_caught_up: pending == 0 };
        self.told.clear();
        self.told.extend(feed.is_caught_up.then_some(KvEvent::CaughtUp));
        (self.feed, self.heard) = (Some((subscription, feed)), Instant::now());
        Ok(())
    }
}

/// How far a consumer's deliveries were followed.
#[derive(Debug)]
struct Feed {
    /// Number of the last delivery; the consumer counts from 1.
    last: u64,
    is_caught_up: bool,
}

/// What to do after a message.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Tell(Vec<KvEvent>),
    Answer(String),
    /// Something is missing.
    Broken,
}

impl Feed {
    fn step(&mut self, message: Message, prefix: &str) -> Step {
        if header(&message, STATUS_HEADER).is_some() {
            return self.status(&message);
        }
        let delivery = message.reply.as_deref().and_then(Delivery::parse);
        let (Some(delivery), Some(key)) = (delivery, message.subject.strip_prefix(prefix)) else {
            tracing::warn!(subject = message.subject, "a delivery that is not of this bucket");
            return Step::Nothing;
        };
        if delivery.number <= self.last {
            return Step::Nothing;
        }
        if delivery.number != self.last + 1 {
            return Step::Broken;
        }
        self.last = delivery.number;
        let (key, revision) = (key.to_owned(), delivery.revision);
        let is_deletion = message.headers.iter().any(|(name, value)| says_deletion(name, value));
        let mut events = vec![match is_deletion {
            true => KvEvent::Delete { key, revision },
            false => KvEvent::Put(KvEntry { key, value: message.payload, revision }),
        }];
        events.extend(self.catch_up(delivery.pending == 0));
        Step::Tell(events)
    }

    /// A message of JetStream's own: that it waits, or that there is nothing new since a delivery.
    fn status(&mut self, message: &Message) -> Step {
        if header(message, STATUS_HEADER) != Some("100") {
            return Step::Broken;
        }
        if let Some(subject) = message.reply.as_deref().or_else(|| header(message, "Nats-Consumer-Stalled")) {
            return Step::Answer(subject.into());
        }
        match header(message, LAST_HEADER).and_then(|last| last.parse::<u64>().ok()) {
            Some(last) if last > self.last => Step::Broken,
            // An idle consumer has told everything, whatever its counts were.
            Some(last) if last == self.last => {
                self.catch_up(true).map_or(Step::Nothing, |event| Step::Tell(vec![event]))
            }
            _ => Step::Nothing,
        }
    }

    fn catch_up(&mut self, is_there: bool) -> Option<KvEvent> {
        let is_new = is_there && !self.is_caught_up;
        self.is_caught_up |= is_there;
        is_new.then_some(KvEvent::CaughtUp)
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// What JetStream says of a delivery, in the subject for its acknowledgement:
/// `$JS.ACK.[domain.account.]stream.consumer.deliveries.revision.number.time.pending`.
#[derive(Debug, PartialEq, Eq)]
struct Delivery {
    revision: u64,
    number: u64,
    pending: u64,
}

impl Delivery {
    fn parse(subject: &str) -> Option<Self> {
        let tokens: Vec<_> = subject.strip_prefix("$JS.ACK.")?.split('.').collect();
        let skipped = if tokens.len() == 7 { 3 } else { 5 };
        let number = |index: usize| tokens.get(skipped + index)?.parse().ok();
        Some(Self { revision: number(0)?, number: number(1)?, pending: number(3)? })
    }
}

#[cfg(test)]
mod tests;
