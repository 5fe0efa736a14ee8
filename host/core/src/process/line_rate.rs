//! How many lines of a process's output are logged: a burst, then a rate, and how many were left out.

use std::time::Duration;

use tokio::time::Instant;

/// Lines that may come at once.
const BURST: u32 = 200;
/// One more line each.
const PER_LINE: Duration = Duration::from_millis(20);
/// How often is told how many lines were left out.
pub(super) const REPORT: Duration = Duration::from_secs(1);

/// The rate of one stream.
#[derive(Debug)]
pub(super) struct LineRate {
    lines: u32,
    /// Up to when lines were added.
    filled: Instant,
    left_out: u64,
    reported: Instant,
}

impl LineRate {
    pub(super) fn new(now: Instant) -> Self {
        Self { lines: BURST, filled: now, left_out: 0, reported: now }
    }

    /// Returns whether a line may be logged now. If not, it is counted.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let more = now.duration_since(self.filled).as_millis() / PER_LINE.as_millis();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if self.lines.saturating_add(more) >= BURST {
            (self.lines, self.filled) = (BURST, now);
        } else {
            self.lines += more;
            self.filled += PER_LINE * more;
        }
        let Some(lines) = self.lines.checked_sub(1) else {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        };
        self.lines = lines;
        true
    }

    /// Returns whether lines were left out that nobody was told of.
    pub(super) const fn is_behind(&self) -> bool {
        self.left_out > 0
    }

    /// Returns how many lines were left out, when it is time to tell.
    pub(super) fn report(&mut self, now: Instant) -> Option<u64> {
        if self.left_out == 0 || now.duration_since(self.reported) < REPORT {
            return None;
        }
        self.reported = now;
        Some(std::mem::take(&mut self.left_out))
    }

    /// Returns how many lines were left out and not told of, as the stream ends.
    pub(super) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.left_out)).filter(|left_out| *left_out > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_becomes_a_rate_and_a_count() {
        let mut rate = LineRate::new(Instant::now());
        let mut logged = 0;
        let (mut told, mut reports) = (0, 0);
        for _ in 0..10_000 {
            logged += u64::from(rate.admits(Instant::now()));
            if let Some(left_out) = rate.report(Instant::now()) {
                (told, reports) = (told + left_out, reports + 1);
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(logged, u64::from(BURST) + 10_000 / 20 - u64::from(10_000 % 20 == 0));
        assert!((9..=10).contains(&reports), "{reports}");
        assert_eq!(logged + told + rate.rest().unwrap_or_default(), 10_000, "each line is logged or counted");
        assert_eq!(rate.rest(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_at_a_normal_pace_are_all_logged() {
        let mut rate = LineRate::new(Instant::now());
        for _ in 0..5000 {
            assert!(rate.admits(Instant::now()));
            tokio::time::advance(PER_LINE).await;
        }
        assert_eq!(rate.rest(), None);
    }
}
