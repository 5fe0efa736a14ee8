//! Answers that a client has yet to read, by when it last took a part of each: without locks, and without a clock.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::watchdog::TICKS_PER_TIMEOUT;

/// Turns that are told apart: an idle timeout of them, and the one that goes on.
const TURNS: usize = TICKS_PER_TIMEOUT as usize + 1;

/// How many answers last moved in which turn. The turns are a ring.
#[derive(Debug, Default)]
pub(super) struct Unread {
    turn: AtomicUsize,
    answers: [AtomicU32; TURNS],
}

impl Unread {
    /// Counts an answer in this turn, which is returned.
    pub(super) fn enter(&self) -> usize {
        let turn = self.turn.load(Ordering::Relaxed);
        self.answers(turn).fetch_add(1, Ordering::Relaxed);
        turn
    }

    /// Returns whether there is no answer.
    pub(super) fn is_empty(&self) -> bool {
        self.answers.iter().all(|answers| answers.load(Ordering::Relaxed) == 0)
    }

    /// Takes back what [`Self::enter`] counted.
    pub(super) fn leave(&self, turn: usize) {
        self.answers(turn).fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an answer of an earlier turn in this one, which is returned: a part of it was written.
    pub(super) fn moved(&self, from: usize) -> usize {
        if from == self.turn.load(Ordering::Relaxed) {
            return from;
        }
        self.leave(from);
        self.enter()
    }

    /// Begins the next turn. Returns whether an answer has not moved for an idle timeout or a little longer; it is then
    /// taken for one that just did.
    pub(super) fn turn(&self) -> bool {
        let next = (self.turn.load(Ordering::Relaxed) + 1) % TURNS;
        self.turn.store(next, Ordering::Relaxed);
        self.answers(next).load(Ordering::Relaxed) > 0
    }

    #[expect(clippy::indexing_slicing, reason = "a turn is a remainder of TURNS")]
    fn answers(&self, turn: usize) -> &AtomicU32 {
        &self.answers[turn % TURNS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns_until_stuck(unread: &Unread, each: impl Fn()) -> Option<usize> {
        (1..100).find(|_| {
            each();
            unread.turn()
        })
    }

    #[test]
    fn an_answer_that_does_not_move_is_found_whatever_others_do() {
        let unread = Unread::default();
        unread.enter();
        assert_eq!(turns_until_stuck(&unread, || unread.leave(unread.enter())), Some(TURNS));
        assert_eq!(turns_until_stuck(&unread, || ()), Some(TURNS), "it has as long again");
    }

    #[test]
    fn an_answer_that_moves_or_is_gone_is_not_stuck() {
        let unread = Unread::default();
        let turn = AtomicUsize::new(unread.enter());
        let each = || turn.store(unread.moved(turn.load(Ordering::Relaxed)), Ordering::Relaxed);
        assert_eq!(turns_until_stuck(&unread, each), None);
        unread.leave(turn.into_inner());
        assert_eq!(turns_until_stuck(&unread, || ()), None);
    }
}
