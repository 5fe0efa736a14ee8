//! What a phase of the load looked like.

use std::{collections::BTreeMap, time::Instant};

use super::{Outcome, Sample};

/// Counts and latencies of some samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    pub(crate) requests: usize,
    /// Answered by the counter actor.
    pub(crate) counted: usize,
    /// Everything else, by what it was: a status or what broke.
    pub(crate) others: BTreeMap<String, usize>,
    /// The same, with the codes of errors: `503 draining`.
    pub(crate) named: BTreeMap<String, usize>,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) max_us: u32,
    /// Answers by the actor's version.
    pub(crate) versions: BTreeMap<u8, usize>,
    /// The highest value counted.
    pub(crate) counter: u64,
}

impl Summary {
    /// Sums up samples.
    pub(crate) fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut summary = Self::default();
        let mut latencies = Vec::new();
        for sample in samples {
            latencies.push(sample.latency_us);
            summary.count(&sample.outcome);
        }
        latencies.sort_unstable();
        summary.requests = latencies.len();
        summary.p50_us = quantile(&latencies, 50);
        summary.p99_us = quantile(&latencies, 99);
        summary.max_us = latencies.last().copied().unwrap_or(0);
        summary
    }

    /// Sums up the samples answered from `from` to `to`.
    pub(crate) fn between(samples: &[Sample], from: Instant, to: Instant) -> Self {
        Self::of(samples.iter().filter(|sample| from <= sample.at && sample.at < to))
    }

    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Counted { counter, version } => {
                self.counted += 1;
                self.counter = self.counter.max(*counter);
                *self.versions.entry(*version).or_default() += 1;
            }
            Outcome::Status(status, code) => {
                *self.others.entry(format!("status {status}")).or_default() += 1;
                *self.named.entry(format!("{status} {code}").trim_end().to_owned()).or_default() += 1;
            }
            Outcome::Broken(reason) => {
                *self.others.entry(reason.clone()).or_default() += 1;
                *self.named.entry(reason.clone()).or_default() += 1;
            }
        }
    }

    /// Returns how many requests the counter actor did not answer.
    pub(crate) fn failed(&self) -> usize {
        self.requests - self.counted
    }
}

/// Returns the value below which `percent` of the sorted values lie.
fn quantile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!((quantile(&values, 50), quantile(&values, 99), quantile(&[], 50)), (50, 99, 0));
    }

    #[test]
    fn what_was_not_counted_has_failed() {
        let sample = |outcome| Sample { at: Instant::now(), latency_us: 1, outcome };
        let samples = [
            sample(Outcome::Counted { counter: 3, version: 1 }),
            sample(Outcome::Status(503, "draining".into())),
            sample(Outcome::Broken("read".into())),
        ];
        let summary = Summary::of(&samples);
        assert_eq!((summary.requests, summary.counted, summary.failed(), summary.counter), (3, 1, 2, 3));
        assert_eq!(summary.named, BTreeMap::from([("503 draining".to_owned(), 1), ("read".to_owned(), 1)]));
    }
}
