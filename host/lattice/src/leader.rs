//! Which host leads: a lease in the shared state, judged by each watcher's own clock.
//!
//! The leader rewrites the lease every [`RENEW_EVERY`] by compare-and-set. It counts the age of its lease from the
//! moment it *sent* the last renewal that was written, and stops at [`LEAD_MAX`]; the others count from the moment
//! they *saw* it, and wait for [`TAKE_OVER_AFTER`]. What was seen was sent before, so whatever the clocks show, the
//! old leader has stopped half a second before a new one begins. A command that was on its way meanwhile is refused by
//! [`Fence`].

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wattle_bus::Expect;
use wattle_types::HostId;

use crate::directory::mix;

/// How often the leader renews its lease.
pub const RENEW_EVERY: Duration = Duration::from_millis(400);
/// Age of the lease at which its holder stops leading.
pub const LEAD_MAX: Duration = Duration::from_millis(1000);
/// How long the lease must not have changed before another host may take it.
pub const TAKE_OVER_AFTER: Duration = Duration::from_millis(1500);
/// How often [`Event::Tick`] should come: often enough that waiting for it adds little to the times above.
pub const TICK_EVERY: Duration = Duration::from_millis(100);
/// Candidates try within this time after one another, so that most see the first succeed before they try.
const JITTER_MS: u64 = 300;
/// How long a candidate waits after a write that failed.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How long a leader that hosts do not obey leaves it to others: the first time, and at most when it happens again and
/// again.
const STEPS_DOWN_FOR: Duration = Duration::from_secs(60);
const STEPS_DOWN_FOR_MAX: Duration = Duration::from_secs(16 * 60);
/// The last term there can be. Nobody gets so far by being elected, so an entry or answer with a later one is not to be
/// believed; and after the last nobody leads, as two leaders never share a term.
pub const TERM_MAX: u64 = (1 << 53) - 1;
/// Writes whose outcome may still become known.
const ATTEMPTS_MAX: usize = 8;

/// The entry `WATTLE_LEADER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who leads.
    pub host: HostId,
    /// Grows with each new leader. Every command of a leader carries it.
    pub term: u64,
    /// Counts the holder's writes: makes each of them another.
    pub renewed: u64,
    /// The holder has let go: nobody needs to wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// What newer hosts wrote.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The watch showed the lease entry. `None`: there is none (told once the watch has caught up), or it was deleted.
    Saw {
        /// The entry.
        lease: Option<Lease>,
        /// Its revision.
        revision: u64,
    },
    /// Time passed.
    Tick,
    /// An [`Effect::Write`] was made.
    Written {
        /// [`Lease::renewed`] of what was written.
        renewed: u64,
        /// The new revision.
        revision: u64,
    },
    /// An [`Effect::Write`] failed, or nobody knows whether it did. To be told within half a second.
    NotWritten {
        /// [`Lease::renewed`] of what was not written.
        renewed: u64,
    },
    /// An [`Effect::Write`] failed because the entry is not as it was expected, and this is what the store has: `None`
    /// and 0 when it has nothing. Heals what no watch tells, as when the store was emptied.
    Conflicted {
        /// [`Lease::renewed`] of what was not written.
        renewed: u64,
        /// The revision that was expected.
        expected: u64,
        /// The entry.
        lease: Option<Lease>,
        /// Its revision.
        revision: u64,
    },
    /// The watch began anew: [`Event::Saw`] follows, maybe of a store that lost what it had.
    Anew,
    /// There is no connection to the shared state.
    Disconnected,
    /// There is a connection again and the watch begins anew: [`Event::Saw`] follows, maybe of a store that lost what
    /// it had.
    Connected,
    /// A host refused a command because it has seen this later term.
    Refused {
        /// The term it has seen.
        term: u64,
    },
    /// Most hosts do not obey this one, as when they do not trust its key: it lets go of the lease and leaves it to
    /// others for a minute; twice as long each time it happens again soon, up to 16 minutes.
    StepDown,
    /// Whether more hosts agree with another host's clock than with this one's: then it does not lead.
    Outvoted(bool),
    /// This host drains or stops: it lets go of the lease and does not try for it any more.
    Resign,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write the lease, and report with [`Event::Written`] or [`Event::NotWritten`].
    Write {
        /// The entry.
        lease: Lease,
        /// Under this condition.
        expect: Expect,
    },
    /// This host leads from now on.
    Lead {
        /// As this term.
        term: u64,
    },
    /// This host does not lead any more.
    Follow,
}

#[derive(Debug)]
struct Seen {
    lease: Option<Lease>,
    revision: u64,
    since: Instant,
    /// Somebody may still lead by it, or by the one that was there before it vanished.
    is_held: bool,
}

#[derive(Debug)]
struct Leading {
    term: u64,
    /// When the last renewal that was written was sent.
    renewed: Instant,
}

/// A write that may or may not have been made.
#[derive(Debug)]
struct Attempt {
    term: u64,
    counter: u64,
    sent: Instant,
}

/// One host's part in the election.
#[derive(Debug)]
pub struct Election {
    me: HostId,
    seen: Option<Seen>,
    leading: Option<Leading>,
    attempts: VecDeque<Attempt>,
    /// The write that has not been reported on yet.
    writing: Option<u64>,
    not_before: Option<Instant>,
    /// Until then the lease is left to others.
    steps_down_until: Option<Instant>,
    steps_down_for: Duration,
    is_outvoted: bool,
    counter: u64,
    highest_term: u64,
    is_connected: bool,
    is_resigned: bool,
    /// The next revision seen may be lower than the last.
    may_go_back: bool,
}

impl Election {
    /// Begins as a follower that has seen nothing: it does not try before it has.
    #[must_use]
    pub const fn new(me: HostId) -> Self {
        Self {
            me,
            seen: None,
            leading: None,
            attempts: VecDeque::new(),
            writing: None,
            not_before: None,
            steps_down_until: None,
            steps_down_for: STEPS_DOWN_FOR,
            is_outvoted: false,
            counter: 0,
            highest_term: 0,
            is_connected: true,
            is_resigned: false,
            may_go_back: false,
        }
    }

    /// Returns the term as which this host leads at this very moment. To be asked before each command.
    #[must_use]
    pub fn leads(&self, now: Instant) -> Option<u64> {
        let leading = self.leading.as_ref()?;
        (now.saturating_duration_since(leading.renewed) < LEAD_MAX).then_some(leading.term)
    }

    /// Returns who holds the lease, as far as this host has seen.
    #[must_use]
    pub fn leader(&self) -> Option<HostId> {
        self.seen.as_ref()?.lease.as_ref().filter(|lease| !lease.released).map(|lease| lease.host)
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Saw { lease, revision } => self.saw(now, lease, revision, &mut effects),
            Event::Tick => {}
            Event::Written { renewed, revision } => {
                self.writing.take_if(|counter| *counter == renewed);
                if let Some(attempt) = self.take_attempt(|attempt| attempt.counter == renewed) {
                    self.written(now, &attempt, revision, &mut effects);
                }
            }
            Event::NotWritten { renewed } => {
                if self.writing.take_if(|counter| *counter == renewed).is_some() {
                    self.not_before = Some(now + RETRY_AFTER);
                }
            }
            Event::Conflicted { renewed, expected, lease, revision } => {
                if self.writing.take_if(|counter| *counter == renewed).is_some() {
                    self.not_before = Some(now + RETRY_AFTER);
                }
                // Unless the watch has told something since.
                if self.expected_revision() == expected {
                    self.may_go_back = true;
                    self.saw(now, lease, revision, &mut effects);
                }
            }
            Event::Disconnected => (self.is_connected, self.writing) = (false, None),
            Event::Connected => {
                self.is_connected = true;
                self.begin_anew(now);
            }
            Event::Anew => self.begin_anew(now),
            Event::Refused { term } if term > TERM_MAX => {}
            Event::Refused { term } => {
                self.highest_term = self.highest_term.max(term);
                if self.leading.as_ref().is_some_and(|leading| leading.term < term) {
                    self.follow(&mut effects);
                }
            }
            Event::StepDown => {
                // Soon again: the others are no better, or nobody has done anything about it.
                let pause = match self.steps_down_until {
                    Some(until) if now < until + self.steps_down_for => {
                        (self.steps_down_for * 2).min(STEPS_DOWN_FOR_MAX)
                    }
                    _ => STEPS_DOWN_FOR,
                };
                (self.steps_down_for, self.steps_down_until) = (pause, Some(now + pause));
                self.release(&mut effects);
            }
            Event::Outvoted(is_outvoted) => {
                self.is_outvoted = is_outvoted;
                if is_outvoted {
                    self.release(&mut effects);
                }
            }
            Event::Resign => {
                self.is_resigned = true;
                self.release(&mut effects);
            }
        }
        self.step(now, &mut effects);
        effects
    }

    /// Nothing could be seen for a while: the holder gets its time again, and revisions may be others.
    const fn begin_anew(&mut self, now: Instant) {
        self.may_go_back = true;
        if let Some(seen) = &mut self.seen {
            seen.since = now;
        }
    }

    fn saw(&mut self, now: Instant, lease: Option<Lease>, revision: u64, effects: &mut Vec<Effect>) {
        let may_go_back = std::mem::take(&mut self.may_go_back);
        let seen = self.seen.as_ref();
        if seen.is_some_and(|seen| revision < seen.revision) && !may_go_back {
            return;
        }
        // Each write differs from all others, so what looks the same is the same, whatever its revision is now.
        let is_known = seen.is_some_and(|seen| seen.lease == lease);
        let since = seen.filter(|_| is_known).map_or(now, |seen| seen.since);
        self.highest_term = self.highest_term.max(lease.as_ref().map_or(0, |lease| lease.term));
        let mine = lease.as_ref().filter(|lease| lease.host == self.me).map(|lease| (lease.term, lease.renewed));
        // Who held a lease that vanished leads until it knows.
        let is_held = lease.as_ref().map_or(seen.is_some_and(|seen| seen.is_held), |lease| !lease.released);
        self.seen = Some(Seen { lease, revision, since, is_held });
        match self.take_attempt(|attempt| Some((attempt.term, attempt.counter)) == mine) {
            Some(attempt) => self.written(now, &attempt, revision, effects),
            // The lease went to another host, or somebody deleted it.
            None if !is_known => self.follow(effects),
            None => {}
        }
    }

    fn take_attempt(&mut self, is_meant: impl Fn(&Attempt) -> bool) -> Option<Attempt> {
        let index = self.attempts.iter().position(is_meant)?;
        self.attempts.remove(index)
    }

    /// A write of ours is in the shared state.
    fn written(&mut self, now: Instant, attempt: &Attempt, revision: u64, effects: &mut Vec<Effect>) {
        if self.seen.as_ref().is_some_and(|seen| revision < seen.revision) {
            return;
        }
        let lease = self.lease(attempt.term, attempt.counter);
        if self.seen.as_ref().is_none_or(|seen| seen.revision < revision) {
            self.seen = Some(Seen { lease: Some(lease), revision, since: now, is_held: true });
        }
        self.highest_term = self.highest_term.max(attempt.term);
        if self.is_resigned || self.is_outvoted || now.saturating_duration_since(attempt.sent) >= LEAD_MAX {
            return;
        }
        match &mut self.leading {
            Some(leading) if leading.term == attempt.term => leading.renewed = leading.renewed.max(attempt.sent),
            _ => {
                self.leading = Some(Leading { term: attempt.term, renewed: attempt.sent });
                effects.push(Effect::Lead { term: attempt.term });
            }
        }
    }

    fn follow(&mut self, effects: &mut Vec<Effect>) {
        if self.leading.take().is_some() {
            effects.push(Effect::Follow);
        }
    }

    fn release(&mut self, effects: &mut Vec<Effect>) {
        let Some(leading) = self.leading.take() else { return };
        effects.push(Effect::Follow);
        self.counter += 1;
        let expect = self.expectation();
        effects
            .push(Effect::Write { lease: Lease { released: true, ..self.lease(leading.term, self.counter) }, expect });
    }

    /// Does what the time asks for.
    fn step(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.leading.is_some() && self.leads(now).is_none() {
            self.follow(effects);
        }
        let waits = |time: Option<Instant>| time.is_some_and(|time| now < time);
        let must_wait = waits(self.not_before) || waits(self.steps_down_until);
        let is_barred = self.is_resigned || self.is_outvoted;
        if self.writing.is_some() || !self.is_connected || is_barred || must_wait {
            return;
        }
        let term = match &self.leading {
            Some(leading) if now.saturating_duration_since(leading.renewed) >= RENEW_EVERY => leading.term,
            None if self.highest_term < TERM_MAX && self.may_take_over(now) => self.highest_term + 1,
            _ => return,
        };
        self.counter += 1;
        self.writing = Some(self.counter);
        self.attempts.push_back(Attempt { term, counter: self.counter, sent: now });
        if self.attempts.len() > ATTEMPTS_MAX {
            self.attempts.pop_front();
        }
        let expect = self.expectation();
        effects.push(Effect::Write { lease: self.lease(term, self.counter), expect });
    }

    fn may_take_over(&self, now: Instant) -> bool {
        let Some(seen) = &self.seen else { return false };
        let wait = if seen.is_held { TAKE_OVER_AFTER } else { Duration::ZERO };
        now.saturating_duration_since(seen.since) >= wait + jitter(&self.me, self.highest_term)
    }

    fn expected_revision(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.revision)
    }

    /// What cannot be read, and what is left of a deletion, has a revision too.
    fn expectation(&self) -> Expect {
        match self.expected_revision() {
            0 => Expect::Absent,
            revision => Expect::Revision(revision),
        }
    }

    const fn lease(&self, term: u64, renewed: u64) -> Lease {
        Lease { host: self.me, term, renewed, released: false, extra: BTreeMap::new() }
    }
}

/// How much longer than others this host waits after this term: another host is first each time.
fn jitter(host: &HostId, term: u64) -> Duration {
    let hash = host.to_string().bytes().fold(term, |hash, byte| mix(hash ^ u64::from(byte)));
    Duration::from_millis(hash % JITTER_MS)
}

/// What a host remembers of leaders: it refuses commands of an earlier term than it has seen.
#[derive(Debug, Default)]
pub struct Fence {
    highest: u64,
}

impl Fence {
    /// Returns whether a command of this term may be carried out.
    pub const fn admit(&mut self, term: u64) -> bool {
        if term < self.highest || term > TERM_MAX {
            return false;
        }
        self.highest = term;
        true
    }

    /// Returns the latest term seen, to be told to whom is refused.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }
}

#[cfg(test)]
mod tests;
