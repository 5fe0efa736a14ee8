//! Every request, accounted for.

use std::collections::BTreeMap;

use crate::load::{Outcome, Sample, Summary};

/// What came of all requests for one counter.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) requests: u64,
    pub(super) answered: u64,
    /// Not answered, by name.
    pub(super) named: BTreeMap<String, u64>,
    /// Numbers that two answers bore.
    pub(super) twice: u64,
    highest: u64,
    /// Which numbers were seen, one bit each.
    seen: Vec<u64>,
}

impl Ledger {
    /// Takes samples in.
    pub(super) fn enter(&mut self, samples: &[Sample]) {
        for sample in samples {
            self.requests += 1;
            if let Outcome::Counted { counter, .. } = sample.outcome {
                self.answered += 1;
                self.count(counter);
            }
        }
        for (name, count) in Summary::of(samples).named {
            *self.named.entry(name).or_default() += count as u64;
        }
    }

    fn count(&mut self, counter: u64) {
        self.highest = self.highest.max(counter);
        let (word, bit) = (usize::try_from(counter / 64).unwrap_or(usize::MAX), 1 << (counter % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if let Some(word) = self.seen.get_mut(word) {
            self.twice += u64::from(*word & bit != 0);
            *word |= bit;
        }
    }

    /// Returns what does not add up. `attempts`: how often one request may be run at most.
    pub(super) fn wrong(&self, attempts: u64) -> Vec<String> {
        let unanswered: u64 = self.named.values().sum();
        let mut wrong = Vec::new();
        if self.answered + unanswered != self.requests {
            wrong.push(format!("{} of {} requests are not accounted for", self.requests, self.answered + unanswered));
        }
        if self.twice > 0 {
            wrong.push(format!("{} answers bear a number that another one bore", self.twice));
        }
        let most = self.requests * attempts;
        if self.highest < self.answered || self.highest > most.min(self.answered * attempts + unanswered * attempts) {
            wrong.push(format!("{} answered, {unanswered} not, and {} counted", self.answered, self.highest));
        }
        let nameless = self.named.keys().filter(|name| !name.contains(' ') || !name.starts_with(char::is_numeric));
        wrong.extend(nameless.map(|name| format!("a request broke: {name}")));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn enter(outcomes: Vec<Outcome>) -> Ledger {
        let mut ledger = Ledger::default();
        let sample = |outcome| Sample { at: Instant::now(), latency_us: 1, outcome };
        ledger.enter(&outcomes.into_iter().map(sample).collect::<Vec<_>>());
        ledger
    }

    fn counted(counter: u64) -> Outcome {
        Outcome::Counted { counter, version: 1 }
    }

    #[test]
    fn what_adds_up_is_not_told() {
        let unknown = Outcome::Status(503, "outcome_unknown".into());
        assert!(enter(vec![counted(1), counted(3), unknown]).wrong(1).is_empty());
    }

    #[test]
    fn what_does_not_is() {
        assert_eq!(enter(vec![counted(1), counted(1)]).wrong(1).len(), 2);
        assert_eq!(enter(vec![counted(1), counted(4)]).wrong(1).len(), 1);
        assert_eq!(enter(vec![counted(1), Outcome::Broken("read".into())]).wrong(1).len(), 1);
    }
}
