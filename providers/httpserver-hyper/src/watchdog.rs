//! When to give a connection up: a decision from counters, taken a few times per timeout.
//!
//! Counting is cheaper than a timer for each request, and catches what a timer for heads does not: a client that
//! connects and says nothing, one that sends a head byte by byte, one that no longer reads its answer.

use std::time::Duration;

use crate::settings::ConnectionLimits;

/// How often a timeout is looked at: a connection lives at most a quarter longer than it should.
pub(crate) const TICKS_PER_TIMEOUT: u32 = 4;

/// A connection's counters; they wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) requests: u32,
    pub(crate) in_flight: u32,
    pub(crate) reads: u32,
    /// Writes of parts of answers' bodies. Other writes may be the protocol's own, and answer a client's pings.
    pub(crate) sent: u32,
    pub(crate) http2: bool,
}

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct Watchdog {
    tick: Duration,
    header_ticks: u32,
    idle_ticks: u32,
    last: Sample,
    quiet_ticks: u32,
    /// Of this turn of the answers.
    turn_ticks: u32,
    /// A head is awaited (on a new connection) or has begun.
    in_head: bool,
}

impl Watchdog {
    /// Starts watching a new connection.
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        let tick = (limits.header_timeout.min(limits.idle_timeout) / TICKS_PER_TIMEOUT).max(Duration::from_millis(1));
        let ticks = |timeout: Duration| timeout.as_millis().div_ceil(tick.as_millis().max(1)) as u32;
        Self {
            tick,
            header_ticks: ticks(limits.header_timeout),
            idle_ticks: ticks(limits.idle_timeout),
            last: Sample::default(),
            quiet_ticks: 0,
            turn_ticks: 0,
            in_head: true,
        }
    }

    /// Returns how long to wait between calls of [`Self::expired`].
    pub(crate) const fn tick(&self) -> Duration {
        self.tick
    }

    /// Counts a tick; returns whether a turn of the answers ends with it. [`TICKS_PER_TIMEOUT`] of them are an idle
    /// timeout, rounded up.
    pub(crate) fn turns(&mut self) -> bool {
        self.turn_ticks += 1;
        let ends = self.turn_ticks >= self.idle_ticks.div_ceil(TICKS_PER_TIMEOUT);
        if ends {
            self.turn_ticks = 0;
        }
        ends
    }

    /// Returns whether the connection should be closed now.
    pub(crate) fn expired(&mut self, now: Sample) -> bool {
        let worked = now.in_flight > 0 || now.requests != self.last.requests || now.sent != self.last.sent;
        // Bytes that became no request are a head in pieces. On HTTP/2 they may be frames of the connection's own.
        let began = now.reads != self.last.reads && !now.http2;
        self.last = now;
        if worked {
            self.quiet_ticks = 0;
            self.in_head = false;
            return false;
        }
        if began && !self.in_head {
            self.in_head = true;
            self.quiet_ticks = 0;
        }
        self.quiet_ticks += 1;
        self.quiet_ticks >= if self.in_head { self.header_ticks } else { self.idle_ticks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks are 100 ms: a head may take 4 of them, idleness 10.
    fn watchdog() -> Watchdog {
        Watchdog::new(ConnectionLimits {
            max_header_bytes: 1,
            max_connections: 1,
            max_connections_per_client: 1,
            header_timeout: Duration::from_millis(400),
            idle_timeout: Duration::from_secs(1),
        })
    }

    fn ticks_until_expired(watchdog: &mut Watchdog, sample: impl Fn(u32) -> Sample) -> Option<u32> {
        (1..100).find(|tick| watchdog.expired(sample(*tick)))
    }

    #[test]
    fn silence_after_connecting_ends_with_the_header_timeout() {
        assert_eq!(ticks_until_expired(&mut watchdog(), |_| Sample::default()), Some(4));
    }

    #[test]
    fn a_head_sent_byte_by_byte_ends_with_the_header_timeout() {
        let mut watchdog = watchdog();
        assert_eq!(ticks_until_expired(&mut watchdog, |tick| Sample { reads: tick, ..Sample::default() }), Some(4));
    }

    #[test]
    fn silence_after_a_request_ends_with_the_idle_timeout_and_a_begun_head_sooner() {
        let served = Sample { requests: 1, reads: 1, sent: 1, ..Sample::default() };
        let mut idle = watchdog();
        assert!(!idle.expired(served));
        assert_eq!(ticks_until_expired(&mut idle, |_| served), Some(10));
        let mut slow = watchdog();
        assert!(!slow.expired(served));
        assert_eq!(ticks_until_expired(&mut slow, |tick| Sample { reads: 1 + tick, ..served }), Some(4));
    }

    #[test]
    fn a_request_in_flight_or_an_answer_being_written_is_work() {
        let busy = Sample { requests: 1, in_flight: 1, ..Sample::default() };
        assert_eq!(ticks_until_expired(&mut watchdog(), |_| busy), None);
        assert_eq!(ticks_until_expired(&mut watchdog(), |tick| Sample { sent: tick, ..Sample::default() }), None);
    }

    #[test]
    fn answers_have_four_turns_in_an_idle_timeout() {
        let mut watchdog = watchdog();
        let ends: Vec<_> = (1..=12).filter(|_| watchdog.turns()).collect();
        assert_eq!(ends, [3, 6, 9, 12]);
    }

    #[test]
    fn http2_without_a_request_ends_with_the_header_timeout_whatever_else_is_said() {
        let pings = |tick| Sample { reads: tick, http2: true, ..Sample::default() };
        assert_eq!(ticks_until_expired(&mut watchdog(), pings), Some(4));
    }

    #[test]
    fn frames_without_requests_do_not_keep_http2_alive() {
        let served = Sample { requests: 1, http2: true, ..Sample::default() };
        let mut watchdog = watchdog();
        assert!(!watchdog.expired(served));
        assert_eq!(ticks_until_expired(&mut watchdog, |tick| Sample { reads: tick, ..served }), Some(10));
    }
}
