//! How an actor or provider does while somebody looks: calls, failures, and how long they take.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use wattle_types::control::Reading;

/// Buckets for each doubling of the duration: a percentile is at most a fifth too high.
const PER_OCTAVE: u32 = 4;
/// Doublings told apart, from one microsecond: the last bucket holds everything above an hour.
const OCTAVES: u32 = 32;
const BUCKETS: usize = (PER_OCTAVE * OCTAVES) as usize;

/// Counts calls. Recording is three additions.
#[derive(Debug)]
pub(crate) struct Meter {
    failed: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Meter {
    fn default() -> Self {
        Self { failed: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Meter {
    /// Counts one call.
    pub(crate) fn record(&self, took: Duration, failed: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns what has been counted so far.
    pub(crate) fn read(&self) -> Reading {
        let counts = self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        let calls = counts.iter().sum();
        Reading { calls, failed: self.failed.load(Ordering::Relaxed), p99_us: percentile_99(&counts, calls) }
    }

    /// Returns calls, failures, and pairs of a bucket's upper end in microseconds and the calls in it, as counted so
    /// far.
    pub(crate) fn counts(&self) -> (u64, u64, Vec<(u64, u64)>) {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let filled = counts.enumerate().filter(|(_, count)| *count > 0);
        let latency: Vec<_> = filled.map(|(bucket, count)| (upper_end(bucket), count)).collect();
        let calls = latency.iter().map(|(_, count)| count).sum();
        (calls, self.failed.load(Ordering::Relaxed), latency)
    }

    /// Begins anew.
    pub(crate) fn reset(&self) {
        self.failed.store(0, Ordering::Relaxed);
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

/// Returns the bucket of a duration: its power of two, and which part of the way to the next.
fn bucket_of(micros: u64) -> usize {
    let micros = micros.max(1);
    let octave = micros.ilog2();
    let within = if octave < 2 { micros << (2 - octave) } else { micros >> (octave - 2) } & 3;
    let bucket = u64::from(octave * PER_OCTAVE) + within;
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Returns the upper end of a bucket, in microseconds.
fn upper_end(bucket: usize) -> u64 {
    let (octave, within) = (bucket as u64 / u64::from(PER_OCTAVE), bucket as u64 % u64::from(PER_OCTAVE));
    let start = 1_u64 << octave;
    start + start * (within + 1) / u64::from(PER_OCTAVE)
}

fn percentile_99(counts: &[u64], calls: u64) -> u64 {
    let wanted = calls - calls / 100;
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted && seen > 0 {
            return upper_end(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_at_most_a_quarter_too_high() {
        let meter = Meter::default();
        assert_eq!(meter.read(), Reading::default());
        for micros in 1..=1000 {
            meter.record(Duration::from_micros(micros), micros % 10 == 0);
        }
        let reading = meter.read();
        assert_eq!((reading.calls, reading.failed), (1000, 100));
        assert!((990..=1240).contains(&reading.p99_us), "{}", reading.p99_us);
        let (calls, failed, latency) = meter.counts();
        assert_eq!((calls, failed), (1000, 100));
        assert!(latency.is_sorted() && latency.last().is_some_and(|(us, _)| *us >= 1000), "{latency:?}");
        meter.record(Duration::MAX, true);
        meter.reset();
        assert_eq!(meter.read(), Reading::default());
    }

    #[test]
    fn buckets_grow_with_the_duration() {
        let buckets: Vec<_> = (0..64).map(|power| bucket_of(1 << power)).collect();
        assert!(buckets.is_sorted());
        for micros in [1, 2, 3, 5, 7, 100, 12_345, 3_600_000_000_u64] {
            assert!(upper_end(bucket_of(micros)) >= micros, "{micros}");
        }
    }
}
