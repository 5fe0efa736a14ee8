//! The thread that changes the file: takes what waits, commits it as one, answers everybody.

use std::{sync::Arc, thread};

use redb::Database;
use tokio::sync::{mpsc, oneshot};
use wattle_provider_sdk::KeyValueError;

use crate::{
    fault::Fault,
    file::StoreFile,
    store::Clock,
    tables::{Change, Tables},
};

/// Most changes that wait. A caller that finds them all waiting is told so at once.
const QUEUE_MAX: usize = 1024;

/// Most changes in one commit, which bounds how long the first of them waits.
const BATCH_MAX: usize = 256;

type Answer = Result<i64, KeyValueError>;

enum Message {
    Change(Job),
    /// Answered when everything before it is on disk.
    Close(oneshot::Sender<()>),
}

struct Job {
    key: String,
    change: Change,
    reply: oneshot::Sender<Answer>,
}

/// A handle on the thread, which ends when the handle is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(file: Arc<StoreFile>, clock: Clock) -> std::io::Result<Self> {
        let (queue, messages) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new().name("wattle-redb".into()).spawn(move || run(&file, messages, &clock))?;
        Ok(Self { queue })
    }

    /// Makes a change; when it is answered, it is on disk.
    ///
    /// # Cancel safety
    /// A change whose caller is gone before its batch begins is not made.
    pub(crate) async fn change(&self, key: &str, change: Change) -> Answer {
        let (reply, answer) = oneshot::channel();
        let job = Job { key: key.to_owned(), change, reply };
        self.queue.try_send(Message::Change(job)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => KeyValueError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).await.is_ok() {
            // An error means that the thread ended by itself.
            let _ = closed.await;
        }
    }
}

fn closed() -> KeyValueError {
    KeyValueError::Unavailable("the store is closed".into())
}

fn run(file: &StoreFile, mut messages: mpsc::Receiver<Message>, clock: &Clock) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = messages.blocking_recv() {
        let mut next = Some(first);
        let mut close = None;
        while let Some(message) = next {
            match message {
                Message::Change(job) => batch.push(job),
                Message::Close(reply) => close = Some(reply),
            }
            next = if close.is_none() && batch.len() < BATCH_MAX { messages.try_recv().ok() } else { None };
        }
        settle(file, &mut batch, clock());
        if let Some(reply) = close {
            // Nobody waiting for the end is fine too.
            let _ = reply.send(());
            return;
        }
    }
}

/// Makes all changes of a batch and answers them once they are on disk.
fn settle(file: &StoreFile, batch: &mut Vec<Job>, now: u64) {
    batch.retain(|job| !job.reply.is_closed());
    if batch.is_empty() {
        return;
    }
    let answers = file.change(now, |database| commit(database, batch, now));
    let answers = answers.unwrap_or_else(|error| vec![Err(error); batch.len()]);
    for (job, answer) in batch.drain(..).zip(answers) {
        // A caller that has gone meanwhile does not learn that its change was made.
        let _ = job.reply.send(answer);
    }
}

fn commit(database: &Database, batch: &[Job], now: u64) -> Result<Vec<Answer>, Fault> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction, now)?;
    tables.purge()?;
    let mut answers = Vec::with_capacity(batch.len());
    for Job { key, change, .. } in batch {
        match tables.apply(key, change) {
            Ok(answer) => answers.push(Ok(answer)),
            Err(Fault::Refused(error)) => answers.push(Err(error)),
            Err(broken) => return Err(broken),
        }
    }
    drop(tables);
    transaction.commit()?;
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn job(change: Change) -> (Job, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Job { key: "key".into(), change, reply }, answer)
    }

    fn file() -> StoreFile {
        StoreFile::open(Box::new(|| Database::builder().create_with_backend(InMemoryBackend::new())), 1).unwrap()
    }

    #[test]
    fn a_batch_is_made_in_order_and_each_gets_its_own_answer() {
        let file = file();
        let changes =
            [Change::Increment(2), Change::ListPush("x".into()), Change::Increment(3), Change::Delete, Change::Delete];
        let (mut batch, answers): (Vec<_>, Vec<_>) = changes.into_iter().map(job).unzip();
        settle(&file, &mut batch, 1);
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.blocking_recv().unwrap()).collect();
        let wrong = KeyValueError::WrongKind { expected: wattle_provider_sdk::ValueKind::List };
        assert_eq!(answers, [Ok(2), Err(wrong), Ok(5), Ok(1), Ok(0)]);
        assert!(batch.is_empty());
    }

    #[test]
    fn a_change_nobody_waits_for_is_not_made() {
        let file = file();
        let ((gone, dropped), (here, answer)) = (job(Change::Increment(1)), job(Change::Increment(1)));
        drop(dropped);
        settle(&file, &mut vec![gone, here], 1);
        assert_eq!(answer.blocking_recv().unwrap(), Ok(1));
    }
}
