//! What travels with a call, besides its payload.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Most hops one call may take from actor to actor. Ends accidental recursion between actors.
pub const MAX_CALL_DEPTH: u8 = 16;

/// The moment after which nobody waits for an answer any more.
///
/// Local to this process; between hosts the time that remains is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// Makes the deadline at `at`.
    #[must_use]
    pub const fn at(at: Instant) -> Self {
        Self(at)
    }

    /// Makes the deadline `wait` after `now`. A wait too long to represent becomes a year.
    #[must_use]
    pub fn after(now: Instant, wait: Duration) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Self(now + wait.min(YEAR))
    }

    /// Returns the moment itself.
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// Returns the time left, zero when it has passed.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Returns the earlier of this deadline and `wait` after `now`.
    #[must_use]
    pub fn capped(self, now: Instant, wait: Duration) -> Self {
        self.min(Self::after(now, wait))
    }
}

/// Deadline, depth and trace of one call.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// How many actors have already called each other to get here.
    pub depth: u8,
    /// W3C trace context of the caller (`traceparent`), if it sent one. Never trusted for authorization.
    pub traceparent: Option<Arc<str>>,
    /// Whether the call may run twice without harm, so that it may be tried on another host when one does not answer.
    /// Only whoever makes the call can know; what it calls in turn is not covered.
    pub repeatable: bool,
}

impl CallContext {
    /// Makes the context of a call that enters the host from outside.
    #[must_use]
    pub const fn new(deadline: Deadline) -> Self {
        Self { deadline, depth: 0, traceparent: None, repeatable: false }
    }

    /// Returns the context of a call made while serving this one, or `None` when the chain is too long.
    #[must_use]
    pub fn nested(&self) -> Option<Self> {
        let depth = self.depth.checked_add(1).filter(|depth| *depth <= MAX_CALL_DEPTH)?;
        Some(Self { deadline: self.deadline, depth, traceparent: self.traceparent.clone(), repeatable: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_calls_ends_at_the_depth_limit() {
        let mut context = CallContext::new(Deadline::after(Instant::now(), Duration::MAX));
        for _ in 0..MAX_CALL_DEPTH {
            context = context.nested().unwrap();
        }
        assert!(context.nested().is_none());
    }

    #[test]
    fn a_cap_only_shortens() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(1));
        assert_eq!(deadline.capped(now, Duration::from_secs(5)), deadline);
        assert_eq!(deadline.capped(now, Duration::ZERO).remaining(now), Duration::ZERO);
    }
}
