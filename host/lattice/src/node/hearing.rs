//! Whether this host can have heard everybody: what it has not heard is only then not there.
//!
//! A connection that is gone is told by the bus. One that is cut, or a process that stood still, is noticed by silence:
//! a host hears its own beats too.

use std::time::{Duration, Instant};

/// How long after us other hosts may find their way back to NATS.
const RETURN_WITHIN: Duration = Duration::from_secs(4);
/// Silence after which others may have taken us for gone, and have done what we do not know of: the shortest lifetime
/// of a beat.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// What is known of the connection, and of who can have been heard over it.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Whether there is a connection, and how many there have been.
    connection: (bool, u64),
    /// Long enough for a beat of each host to come.
    beats: Duration,
    by: Instant,
    /// The last sign that what is sent to us comes.
    sure: Instant,
    /// When we were back after we were cut off last, if that is not long ago.
    back: Option<Instant>,
}

impl Hearing {
    /// Begins with a connection, at intervals of `beat_every`.
    pub(super) fn new(now: Instant, connections: u64, beat_every: Duration) -> Self {
        let beats = beat_every.mul_f32(1.5);
        Self { connection: (true, connections), beats, by: now + beats, sure: now, back: None }
    }

    /// Takes in what the connection is now. Returns whether it is another one than before: what was on its way is lost.
    pub(super) fn look(&mut self, now: Instant, connection: (bool, u64)) -> bool {
        let is_new = std::mem::replace(&mut self.connection, connection) != connection;
        if is_new {
            self.by = now + RETURN_WITHIN + self.beats;
            self.back = Some(now);
        }
        is_new
    }

    /// Takes in a sign that was sent at `sent` at the earliest: a beat of anybody's, or an answer. Returns whether it
    /// ends a silence.
    pub(super) fn heard(&mut self, now: Instant, sent: Instant) -> bool {
        let is_back = self.is_silent(now);
        if is_back {
            self.by = self.by.max(now + self.beats);
            self.back = Some(now);
        }
        self.sure = self.sure.max(sent);
        is_back
    }

    /// Returns by when every host that is there has been heard; `None` without a connection.
    pub(super) fn by(&self) -> Option<Instant> {
        self.connection.0.then_some(self.by)
    }

    /// Returns until when we can have heard others: who was silent since may only be unheard.
    pub(super) const fn sure(&self) -> Instant {
        self.sure
    }

    /// Returns since when a host must have been heard, for us to know of it what others know: the time we came back
    /// after we were cut off. `None` if we were not, or long enough ago that all have been heard since.
    pub(super) fn back(&mut self, now: Instant) -> Option<Instant> {
        if !self.connection.0 || self.is_silent(now) {
            // Nothing that was heard before counts.
            return Some(now);
        }
        self.back.take_if(|back| now.saturating_duration_since(*back) >= self.beats);
        self.back
    }

    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.sure) >= SILENCE_MAX.max(self.beats * 2)
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

    #[test]
    fn who_heard_nothing_for_long_was_cut_off_until_all_had_time_to_be_heard() {
        let at = |start: Instant, ms| start + Duration::from_millis(ms);
        let start = Instant::now();
        let mut hearing = Hearing::new(start, 1, Duration::from_millis(500));
        hearing.heard(at(start, 500), at(start, 500));
        assert_eq!(hearing.back(at(start, 2_499)), None);
        assert_eq!((hearing.sure(), hearing.by()), (at(start, 500), Some(at(start, 750))));
        // Silence: whoever was heard, was heard before.
        assert_eq!(hearing.back(at(start, 2_500)), Some(at(start, 2_500)));
        hearing.heard(at(start, 6_000), at(start, 6_000));
        assert_eq!(hearing.back(at(start, 6_010)), Some(at(start, 6_000)));
        assert_eq!(hearing.by(), Some(at(start, 6_750)));
        hearing.heard(at(start, 6_500), at(start, 6_500));
        assert_eq!(hearing.back(at(start, 6_750)), None);
        // Without a connection nothing is heard; with the next one everything anew.
        assert!(hearing.look(at(start, 7_000), (false, 1)));
        assert_eq!(hearing.back(at(start, 7_000)), Some(at(start, 7_000)));
        hearing.look(at(start, 7_100), (true, 2));
        assert_eq!(hearing.back(at(start, 7_200)), Some(at(start, 7_100)));
        assert_eq!(hearing.back(at(start, 7_850)), None);
    }
}
