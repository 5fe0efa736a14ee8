//! How thoroughly is measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What every scenario is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// How often each figure is taken; contestants take turns within a round.
    pub(crate) rounds: u32,
    /// How long a contestant's turn is where calls are short; scenarios with more to do take a multiple.
    pub(crate) turn_ms: u64,
    /// Small numbers of actors and links: for trying the benchmark, not for quoting it.
    pub(crate) quick: bool,
    /// Whether others' programs are built and measured too.
    pub(crate) peers: bool,
}

impl Settings {
    /// Returns a multiple of the turn.
    pub(crate) const fn turns(self, count: u32) -> Duration {
        Duration::from_millis(self.turn_ms * count as u64)
    }

    /// Returns `whole`, or `quick` in a quick run.
    pub(crate) const fn amount(self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }

    /// Tells on standard error how far a scenario is.
    pub(crate) fn tell(self, scenario: &str, round: u32) {
        eprintln!("{scenario}: round {} of {}", round + 1, self.rounds);
    }
}
