//! Whether the calls of a module mostly compute for long, as ticks of the epoch show.

use std::sync::atomic::{AtomicU32, Ordering};

/// What the ticks of the epoch met, of one generation's calls.
///
/// A tick meets a short call now and then, by chance, and a call that is longer than a tick always. A second tick meets
/// only the long ones. Nothing is written in a call that no tick meets.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    met: AtomicU32,
    met_again: AtomicU32,
}

impl Habit {
    /// As many calls have to be met twice before anything is thought of the others.
    const FEWEST: u32 = 4;
    /// When so many were met, all count half: what was so long ago matters less and less.
    const MEMORY: u32 = 64;

    /// Notes that a call was met by its tick of this number, from 1.
    pub(crate) fn note(&self, tick: u32) {
        match tick {
            1 if self.met.fetch_add(1, Ordering::Relaxed) >= Self::MEMORY => {
                // Two threads may both do so, or lose a count in between: it is an estimate.
                for count in [&self.met, &self.met_again] {
                    count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
                }
            }
            2 => {
                self.met_again.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Returns whether a quarter of the calls that were met was met again.
    pub(crate) fn is_long(&self) -> bool {
        let again = self.met_again.load(Ordering::Relaxed);
        again >= Self::FEWEST && again.saturating_mul(4) >= self.met.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(habit: &Habit, count: u32, ticks: u32) {
        (0..count).for_each(|_| (1..=ticks).for_each(|tick| habit.note(tick)));
    }

    #[test]
    fn calls_are_long_when_a_quarter_of_those_that_were_met_is_met_again() {
        let habit = Habit::default();
        calls(&habit, 3, 100);
        assert!(!habit.is_long(), "three say nothing of the others");
        calls(&habit, 1, 100);
        assert!(habit.is_long());
        calls(&habit, 13, 1);
        assert!(!habit.is_long());
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let habit = Habit::default();
        calls(&habit, 1_000_000, 3);
        assert!(habit.is_long());
        calls(&habit, 300, 1);
        assert!(!habit.is_long());
        calls(&habit, 100, 2);
        assert!(habit.is_long());
    }
}
