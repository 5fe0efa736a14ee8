//! Answers one message of another host.

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::time::Instant;
use wattle_bus::BusError;

use super::{
    Refusal,
    endpoint::Endpoint,
    fields::{self, Get},
    frame::{Head, Kind},
    kept::{Kept, too_long},
    table::Inbound,
};

/// Where one message is answered, and over which session.
pub(super) struct Reply<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) session: &'a Inbound,
    /// Of the message.
    pub(super) counter: u64,
    pub(super) subject: &'a str,
}

impl Reply<'_> {
    /// Answers a call. What does not fit one message is kept until it is fetched, or nobody waits for it any more.
    pub(super) async fn result(&self, result: Result<Bytes, Refusal>, kept: &Kept, deadline: Instant) {
        let limit = self.endpoint.limits.payload_len_max;
        let bytes = match result {
            Ok(bytes) if bytes.len() > limit => {
                return self.refuse(&Refusal { executed: true, ..too_long(bytes.len(), limit) }).await;
            }
            Ok(bytes) => bytes,
            Err(refusal) => return self.refuse(&refusal).await,
        };
        if bytes.len() <= self.endpoint.part_len.get() {
            match self.send(Kind::Answer, bytes.len(), |out| out.put_slice(&bytes)).await {
                Err(BusError::TooLarge { limit, .. }) => self.endpoint.part_len.shrink(bytes.len(), limit),
                _ => return,
            };
        }
        self.hand_out(bytes, kept, deadline).await;
    }

    async fn hand_out(&self, bytes: Bytes, kept: &Kept, deadline: Instant) {
        let total = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let answer = match kept.put_answer(self.session, self.counter, bytes) {
            Ok(answer) => answer,
            Err(refusal) => return self.refuse(&refusal).await,
        };
        if self.send(Kind::Held, 4, |out| fields::write_held(out, total)).await.is_ok() {
            let _late = tokio::time::timeout_at(deadline, answer.fetched()).await;
        }
        kept.drop_answer(self.session, self.counter);
    }

    /// Sends a part of an answer; a shorter one when the bus takes no longer one.
    pub(super) async fn part(&self, get: Get, kept: &Kept) {
        loop {
            let part = match kept.get(self.session, get, self.endpoint.part_len.get()) {
                Ok(part) => part,
                Err(refusal) => return self.refuse(&refusal).await,
            };
            match self.send(Kind::Part, part.len(), |out| out.put_slice(&part)).await {
                Ok(()) => return kept.sent(self.session, get.counter, part.len()),
                Err(BusError::TooLarge { limit, .. }) if self.endpoint.part_len.shrink(part.len(), limit) => {}
                Err(_) => return,
            }
        }
    }

    /// Says that a part of a payload was taken.
    pub(super) async fn stored(&self) {
        let _unsent = self.send(Kind::Stored, 0, |_| {}).await;
    }

    /// Answers with an error.
    pub(super) async fn refuse(&self, refusal: &Refusal) {
        let write = |out: &mut BytesMut| fields::write_refusal(out, refusal);
        let _unsent = self.send(Kind::Refused, refusal.message.len(), write).await;
    }

    async fn send(&self, kind: Kind, len: usize, write: impl FnOnce(&mut BytesMut)) -> Result<(), BusError> {
        let mut frame = Head { kind, session: self.session.id, counter: self.counter }.begin(len);
        write(&mut frame);
        self.endpoint.publish(self.subject, self.session.keys.reply.seal(frame)).await
    }
}
