//! Remembering what was signed, so that each is taken once.
//!
//! Signatures never expire by themselves, so only fresh ones are taken, and each is remembered for as long as it could
//! still pass for fresh. When there are too many to remember, further ones are refused rather than forgotten.

use std::collections::{HashSet, VecDeque};

/// How old what a process sent may be: its sender has long given up by then.
const AGE_MAX_SECS: u64 = 15;
/// How far its clock may be ahead; it is the same machine's.
const SKEW_MAX_SECS: u64 = 5;
/// How many are remembered: about 12,000 a second for as long as they can be fresh.
const REMEMBERED_MAX: usize = 256 * 1024;

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Replayed {
    /// It was taken before.
    #[error("it was sent before")]
    Repeated,
    /// It is too old, or of the future.
    #[error("it is not fresh: it was signed too long ago, or ahead of time")]
    Stale,
    /// It may have been taken by an earlier process.
    #[error("it was signed before this host was started, which cannot know whether it was carried out")]
    Before,
    /// As many as can be remembered were taken.
    #[error("too many in a short time")]
    TooMany,
}

/// What could still be repeated of one sender.
#[derive(Debug)]
pub struct ReplayWindow {
    seen: HashSet<[u8; 32]>,
    /// In order of arrival, with the second in which they may be forgotten.
    order: VecDeque<(u64, [u8; 32])>,
    remembered_max: usize,
    /// How old something may be, and how far ahead, in seconds.
    fresh: (u64, u64),
    /// What was signed before this second is not taken.
    since: u64,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self {
            seen: HashSet::new(),
            order: VecDeque::new(),
            remembered_max: REMEMBERED_MAX,
            fresh: (AGE_MAX_SECS, SKEW_MAX_SECS),
            since: 0,
        }
    }
}

impl ReplayWindow {
    /// Makes a window for what may be `age_max` seconds old, or as far ahead.
    #[must_use]
    pub fn of(age_max: u64) -> Self {
        Self { fresh: (age_max, age_max), ..Self::default() }
    }

    /// Returns the same window, which takes nothing signed before `since`, in seconds: whoever began then does not know
    /// what was taken before.
    #[must_use]
    pub fn since(self, since: u64) -> Self {
        Self { since, ..self }
    }

    /// Takes what has this hash of its id, signed at `issued_at`, if it is fresh and new. Times in seconds.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn take(&mut self, id: [u8; 32], issued_at: u64, now: u64) -> Result<(), Replayed> {
        self.forget(now);
        let (age_max, skew_max) = self.fresh;
        if issued_at.saturating_add(age_max) < now || issued_at > now.saturating_add(skew_max) {
            return Err(Replayed::Stale);
        }
        if issued_at < self.since {
            return Err(Replayed::Before);
        }
        if self.seen.contains(&id) {
            return Err(Replayed::Repeated);
        }
        if self.seen.len() >= self.remembered_max {
            return Err(Replayed::TooMany);
        }
        self.seen.insert(id);
        self.order.push_back((now.saturating_add(age_max + skew_max + 1), id));
        Ok(())
    }

    fn forget(&mut self, now: u64) {
        while let Some((until, id)) = self.order.front() {
            if *until > now {
                return;
            }
            self.seen.remove(id);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_is_taken_once_while_it_is_fresh() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.take([1; 32], 100, 100), Ok(()));
        assert_eq!(window.take([1; 32], 100, 100), Err(Replayed::Repeated));
        assert_eq!(window.take([2; 32], 100, 115), Ok(()));
        assert_eq!(window.take([3; 32], 100, 116), Err(Replayed::Stale));
        assert_eq!(window.take([4; 32], 122, 116), Err(Replayed::Stale));
    }

    #[test]
    fn nothing_is_forgotten_while_it_could_pass_for_fresh() {
        let mut window = ReplayWindow::default();
        window.take([1; 32], 105, 100).unwrap();
        for now in 100..200 {
            assert!(window.take([1; 32], 105, now).is_err(), "{now}");
        }
        assert!(window.seen.is_empty() && window.order.is_empty());
    }

    #[test]
    fn what_was_signed_before_the_window_began_may_have_been_taken() {
        let mut window = ReplayWindow::of(60).since(100);
        assert_eq!(window.take([1; 32], 99, 100), Err(Replayed::Before));
        assert_eq!(window.take([1; 32], 100, 100), Ok(()));
    }

    #[test]
    fn a_full_window_refuses_rather_than_forgets() {
        let mut window = ReplayWindow { remembered_max: 1, ..ReplayWindow::default() };
        window.take([1; 32], 100, 100).unwrap();
        assert_eq!(window.take([2; 32], 100, 100), Err(Replayed::TooMany));
        assert_eq!(window.take([2; 32], 121, 121), Ok(()));
    }
}
