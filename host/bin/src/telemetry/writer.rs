//! Log lines on their way to standard error: a bounded buffer, and one thread that writes it.
//!
//! Whoever logs never waits for the stream and never hears of its failures: a line without room is counted, and the
//! count is told once the stream takes lines again.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Bytes of lines that wait for the stream: some seconds of a busy access log. As many may be on their way into it.
const WAITING_BYTES_MAX: usize = 1024 * 1024;
/// Pause until a stream that failed is tried again: a full disk or a reader that is gone does not pass at once.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A cheap handle; each write is one whole line.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    left_out: u64,
    /// The thread has taken lines and not yet written all of them.
    is_writing: bool,
}

impl LogWriter {
    /// Starts the thread that writes to `stream`. It ends with the process.
    ///
    /// `tell` is called on it with the number of lines left out, when those before them are written.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(stream: impl Write + Send + 'static, tell: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new() });
        let own = Arc::clone(&shared);
        thread::Builder::new().name("log".into()).spawn(move || own.write_to(stream, tell))?;
        Ok(Self(shared))
    }

    /// Takes a line, or counts it as left out.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.lines.len() + line.len() > WAITING_BYTES_MAX {
            waiting.left_out += 1;
            return;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.0.changed.notify_all();
        }
    }

    /// Waits until all lines are written, no longer than `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let _in_time = self.0.changed.wait_timeout_while(self.0.lock(), patience, is_busy);
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is complete before anything that could panic: a poisoned state is still a good one.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut stream: impl Write, tell: impl Fn(u64)) {
        let mut lines = Vec::new();
        loop {
            let left_out = self.take(&mut lines);
            write_whole(&mut stream, &lines);
            lines.clear();
            if left_out > 0 {
                tell(left_out);
            }
        }
    }

    /// Waits for lines and swaps them for the empty `lines`. Returns how many were left out after them.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut waiting = self.lock();
        waiting.is_writing = false;
        self.changed.notify_all();
        let mut waiting = self
            .changed
            .wait_while(waiting, |waiting| waiting.lines.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        waiting.is_writing = true;
        std::mem::swap(&mut waiting.lines, lines);
        std::mem::take(&mut waiting.left_out)
    }
}

/// Writes all of it, however often the stream fails in between.
fn write_whole(stream: &mut impl Write, mut rest: &[u8]) {
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => thread::park_timeout(RETRY_PAUSE),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => thread::park_timeout(RETRY_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A stream that does with each write what the test says, and passes on what it took.
    struct Played {
        outcomes: Receiver<io::Result<usize>>,
        written: Sender<String>,
    }

    impl Write for Played {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The test is over when it says nothing more.
            let count = self.outcomes.recv().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            let _test_over = self.written.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Test {
        log: LogWriter,
        outcomes: Sender<io::Result<usize>>,
        written: Receiver<String>,
        told: Receiver<u64>,
    }

    fn start() -> Test {
        let (outcomes, played) = channel();
        let (write, written) = channel();
        let (tell, told) = channel();
        let stream = Played { outcomes: played, written: write };
        let log = LogWriter::start(stream, move |count| tell.send(count).unwrap_or_default()).unwrap();
        Test { log, outcomes, written, told }
    }

    #[test]
    fn a_stuck_stream_holds_up_nobody_and_what_has_no_room_is_counted() {
        let test = start();
        test.log.push(b"first\n");
        let line = [b'x'; 1000];
        for _ in 0..3000 {
            test.log.push(&line);
        }
        // It does not wait for what cannot be written.
        test.log.flush(Duration::from_millis(10));
        let mut written = 0;
        while written < 6 + WAITING_BYTES_MAX / 1000 * 1000 {
            test.outcomes.send(Ok(usize::MAX)).unwrap();
            written += test.written.recv_timeout(PATIENCE).unwrap().len();
        }
        // The first may have been taken with some of the others: then these had room again.
        let left_out = test.told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(6 + (3000 - left_out as usize) * 1000, written);
    }

    #[test]
    fn a_line_that_failed_is_finished_when_the_stream_takes_it() {
        let test = start();
        test.log.push(b"whole line\n");
        for outcome in [Err(io::ErrorKind::StorageFull.into()), Ok(5), Err(io::ErrorKind::BrokenPipe.into()), Ok(99)] {
            test.outcomes.send(outcome).unwrap();
        }
        assert_eq!(test.written.recv_timeout(PATIENCE).unwrap(), "whole");
        assert_eq!(test.written.recv_timeout(PATIENCE).unwrap(), " line\n");
        test.log.flush(PATIENCE);
        assert!(test.told.try_recv().is_err());
    }
}
