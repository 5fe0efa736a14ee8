//! Whether this host can have heard everybody: what it has not heard is only then not there.

use std::time::{Duration, Instant};

/// How long after us other hosts may find their way back to NATS.
const RETURN_WITHIN: Duration = Duration::from_secs(4);

/// What is known of the connection, and of who can have been heard over it.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Whether there is a connection, and how many there have been.
    connection: (bool, u64),
    /// Long enough for a beat of each host to come.
    beats: Duration,
    by: Instant,
}

impl Hearing {
    /// Begins with a connection, at intervals of `beat_every`.
    pub(super) fn new(now: Instant, connections: u64, beat_every: Duration) -> Self {
        let beats = beat_every.mul_f32(1.5);
        Self { connection: (true, connections), beats, by: now + beats }
    }

    /// Takes in what the connection is now. Returns whether it is another one than before: what was on its way is lost.
    pub(super) fn look(&mut self, now: Instant, connection: (bool, u64)) -> bool {
        let is_new = std::mem::replace(&mut self.connection, connection) != connection;
        if is_new {
            self.by = now + RETURN_WITHIN + self.beats;
        }
        is_new
    }

    /// Returns by when every host that is there has been heard; `None` without a connection.
    pub(super) fn by(&self) -> Option<Instant> {
        self.connection.0.then_some(self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_outage_others_have_time_to_come_back() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start, 1, Duration::from_secs(1));
        assert_eq!(hearing.by(), Some(start + Duration::from_millis(1_500)));
        assert!(!hearing.look(start, (true, 1)));
        assert!(hearing.look(start, (false, 1)));
        assert_eq!(hearing.by(), None);
        let back = start + Duration::from_secs(60);
        assert!(hearing.look(back, (true, 2)));
        assert_eq!(hearing.by(), Some(back + Duration::from_millis(5_500)));
        // So fast that nobody saw it gone.
        assert!(hearing.look(back + RETURN_WITHIN, (true, 3)));
        assert_eq!(hearing.by(), Some(back + Duration::from_millis(9_500)));
    }
}
