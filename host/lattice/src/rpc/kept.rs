//! Payloads too long for one message, kept while they come or go in parts.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, oneshot};
use wattle_types::ErrorKind;

use super::{
    Refusal,
    fields::{Get, Put},
    gauge::{Gauge, Taken},
    limits::PART_LEN_MIN,
    table::Inbound,
};

/// What a payload counts for at least, in bytes: its parts, its task and its timer take about as much. It bounds how
/// many there are; those that need to go in parts are longer.
const PAYLOAD_ROOM_MIN: usize = PART_LEN_MIN;

/// Session, and number within it.
type Place = (u64, u64);

/// All payloads kept for other hosts.
#[derive(Debug)]
pub(super) struct Kept {
    payload_len_max: usize,
    room: Arc<Gauge>,
    uploads: Mutex<HashMap<Place, Upload>>,
    answers: Mutex<HashMap<Place, Arc<Answer>>>,
}

/// Memory counted, for this host and for the other.
pub(super) type Room = (Taken, Taken);

/// A payload that comes in parts.
#[derive(Debug)]
struct Upload {
    buffer: BytesMut,
    /// What arrived: where it begins and ends.
    parts: BTreeMap<usize, usize>,
    room: Room,
    /// Ends the wait for its deadline when dropped.
    _kept: oneshot::Sender<()>,
}

impl Upload {
    fn put(&mut self, put: &Put) -> Result<(), Refusal> {
        let (begin, total) = (put.offset as usize, self.buffer.len());
        let end = begin.saturating_add(put.bytes.len());
        // A payload whose parts shrank on the way has a short one at the end of each that was planned.
        if self.parts.len() > 2 * total / PART_LEN_MIN + 2 || put.bytes.is_empty() || put.total as usize != total {
            return Err(invalid("the parts of a payload disagree, are empty, or are too many"));
        }
        let space = self.buffer.get_mut(begin..end).ok_or_else(|| invalid("a part lies outside of its payload"))?;
        space.copy_from_slice(&put.bytes);
        self.parts.insert(begin, end);
        Ok(())
    }
}

/// An answer that goes in parts.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Bytes,
    /// Bytes not fetched yet.
    left: AtomicUsize,
    fetched: Notify,
    _room: Room,
}

impl Answer {
    /// Waits until all of it was fetched.
    pub(super) async fn fetched(&self) {
        self.fetched.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn full() -> Refusal {
    Refusal::not_run("overloaded", ErrorKind::Unavailable, "the host keeps too many long payloads already")
}

fn invalid(why: &str) -> Refusal {
    Refusal::not_run("request_invalid", ErrorKind::Caller, why)
}

/// Returns what a payload longer than allowed is refused with.
pub(super) fn too_long(size: usize, limit: usize) -> Refusal {
    let message = format!("a payload of {size} bytes exceeds the limit of {limit}");
    Refusal::not_run("payload_too_large", ErrorKind::Caller, message)
}

impl Kept {
    pub(super) fn new(payload_len_max: usize, len_max: usize) -> Self {
        let room = Gauge::new(len_max);
        Self { payload_len_max, room, uploads: Mutex::default(), answers: Mutex::default() }
    }

    /// Takes a part. With the first of a payload, returns what ends when that is kept no longer.
    pub(super) fn put(&self, session: &Inbound, put: &Put) -> Result<Option<oneshot::Receiver<()>>, Refusal> {
        let total = put.total as usize;
        if total > self.payload_len_max {
            return Err(too_long(total, self.payload_len_max));
        }
        match lock(&self.uploads).entry((session.id, put.upload)) {
            Entry::Occupied(mut upload) => upload.get_mut().put(put).map(|()| None),
            Entry::Vacant(place) => {
                let room = self.room(session, total).ok_or_else(full)?;
                let (alive, kept) = oneshot::channel();
                let mut upload = Upload { buffer: BytesMut::zeroed(total), parts: BTreeMap::new(), room, _kept: alive };
                upload.put(put)?;
                place.insert(upload);
                Ok(Some(kept))
            }
        }
    }

    /// Takes out a payload that came in parts, and the room it takes.
    pub(super) fn take_upload(&self, session: &Inbound, upload: u64) -> Result<(Bytes, Room), Refusal> {
        let upload = lock(&self.uploads).remove(&(session.id, upload));
        let Upload { buffer, parts, room, .. } = upload.ok_or_else(|| invalid("the payload did not arrive"))?;
        let end = parts.iter().try_fold(0, |reached, (begin, end)| (*begin == reached).then_some(*end));
        if end == Some(buffer.len()) {
            Ok((buffer.freeze(), room))
        } else {
            Err(invalid("parts of the payload are missing"))
        }
    }

    /// Drops a payload whose call did not come.
    pub(super) fn drop_upload(&self, session: &Inbound, upload: u64) {
        lock(&self.uploads).remove(&(session.id, upload));
    }

    /// Keeps the answer to a call until it is fetched.
    pub(super) fn put_answer(&self, session: &Inbound, counter: u64, bytes: Bytes) -> Result<Arc<Answer>, Refusal> {
        let room = self.room(session, bytes.len()).ok_or_else(|| Refusal { executed: true, ..full() })?;
        let left = AtomicUsize::new(bytes.len());
        let answer = Arc::new(Answer { bytes, left, fetched: Notify::new(), _room: room });
        lock(&self.answers).insert((session.id, counter), Arc::clone(&answer));
        Ok(answer)
    }

    /// Returns a part of an answer, at most `len_max` bytes.
    pub(super) fn get(&self, session: &Inbound, get: Get, len_max: usize) -> Result<Bytes, Refusal> {
        let answer = lock(&self.answers).get(&(session.id, get.counter)).cloned();
        let answer = answer.ok_or_else(|| invalid("the answer is not kept any more"))?;
        let begin = (get.offset as usize).min(answer.bytes.len());
        let end = begin.saturating_add((get.len as usize).min(len_max)).min(answer.bytes.len());
        Ok(answer.bytes.slice(begin..end))
    }

    /// Counts what of an answer was sent.
    pub(super) fn sent(&self, session: &Inbound, counter: u64, len: usize) {
        let Some(answer) = lock(&self.answers).get(&(session.id, counter)).cloned() else { return };
        let less = |left: usize| Some(left.saturating_sub(len));
        let before = answer.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if before.is_ok_and(|left| left <= len) {
            answer.fetched.notify_one();
        }
    }

    pub(super) fn drop_answer(&self, session: &Inbound, counter: u64) {
        lock(&self.answers).remove(&(session.id, counter));
    }

    /// Takes room for a payload. What keeps track of it takes some, too, however short it is.
    fn room(&self, session: &Inbound, len: usize) -> Option<Room> {
        let len = len.max(PAYLOAD_ROOM_MIN);
        Some((session.guest.kept.take(len)?, self.room.take(len)?))
    }

    /// Returns how many bytes are kept.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.room.used()
    }
}
