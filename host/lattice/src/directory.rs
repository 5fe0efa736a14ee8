//! Who runs what: what all hosts told of themselves, as one host heard it.
//!
//! [`Directory`] is owned by the task that hears; [`DirectorySnapshot`] is what calls look into, immutable and shared.
//! Time is handed in and only ever compared with itself, so clocks of hosts need not agree.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use wattle_types::{HostId, signed::CLOCKS_APART_MAX_SECS};

use crate::beat::Beat;

mod choose;
mod snapshot;

pub use choose::choose;
pub(crate) use choose::mix;
pub use snapshot::{DirectorySnapshot, KnownHost};

/// Most hosts of one lattice. More are several lattices.
pub const HOSTS_MAX: usize = 20_000;
/// How long a host that said it ended is not taken for one that was started at an earlier time by its clock: a late
/// notice of its must not bring it back.
const FORGET_AFTER: Duration = Duration::from_secs(10);
/// How long a host that is gone is remembered altogether: what it has told can pass for new for as long, by its clock.
const REMEMBER_FOR: Duration = Duration::from_secs(2 * CLOCKS_APART_MAX_SECS + 1);
/// How long calls avoid a host that did not answer in time.
const SUSPECT_FOR: Duration = Duration::from_secs(2);

/// How long calls avoid a host that was cut off and comes back: it has yet to hear who runs what it needs.
const AVOID_FOR: Duration = Duration::from_secs(1);

/// What a notice changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A host that was not known, or was gone.
    Appeared,
    /// A known host tells something new.
    Changed,
    /// Nothing new, but the host is there.
    Same,
    /// Older than what is known: ignored.
    Stale,
    /// The host ended.
    Left,
    /// It is there, but what it runs is not known: a whole notice was missed, and another comes.
    Unknown,
    /// Not taken, for this reason.
    Refused(&'static str),
}

#[derive(Debug)]
struct Entry {
    beat: Arc<Beat>,
    /// Which of its notices was taken last.
    sent: u64,
    heard: Instant,
    since: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Here,
    /// Nobody listens on its subject: gone until it is heard again.
    Lost,
    /// It was not heard for too long; any later notice brings it back, even one of a clock that went backwards.
    Expired,
    /// It said it ended: only a later start brings it back.
    Left,
}

/// All hosts one host knows of.
#[derive(Debug, Default)]
pub struct Directory {
    hosts: BTreeMap<HostId, Entry>,
    suspects: BTreeMap<HostId, Instant>,
    snapshot: Option<Arc<DirectorySnapshot>>,
}

impl Directory {
    /// Takes in a notice.
    pub fn heard(&mut self, now: Instant, beat: Beat) -> Heard {
        if let Err(why) = beat.check() {
            return Heard::Refused(why);
        }
        let host = beat.host;
        if beat.brief {
            return self.heard_briefly(now, &beat);
        }
        let known = self.hosts.get(&host);
        if known.is_none() && self.hosts.len() >= HOSTS_MAX {
            return Heard::Refused("as many hosts as a lattice may have are known");
        }
        let heard =
            known.map_or(if beat.last { Heard::Left } else { Heard::Appeared }, |known| compare(known, &beat, now));
        match heard {
            Heard::Stale | Heard::Unknown | Heard::Refused(_) => return heard,
            Heard::Same => {
                if let Some(entry) = self.hosts.get_mut(&host) {
                    (entry.heard, entry.sent) = (now, beat.sent);
                }
                return heard;
            }
            Heard::Appeared | Heard::Changed | Heard::Left => {}
        }
        let came_back = known.is_some_and(|known| {
            matches!(known.state, State::Lost | State::Expired) && known.beat.incarnation == beat.incarnation
        });
        let since = known.filter(|_| heard == Heard::Changed).map_or(now, |known| known.since);
        let state = if heard == Heard::Left { State::Left } else { State::Here };
        // One that was overtaken by a later one of the same start tells something new all the same.
        let overtaken_by =
            known.filter(|known| known.beat.incarnation == beat.incarnation).map_or(0, |known| known.sent);
        let sent = beat.sent.max(overtaken_by);
        self.hosts.insert(host, Entry { beat: Arc::new(beat), sent, heard: now, since, state });
        if heard == Heard::Appeared {
            self.suspects.remove(&host);
            if came_back {
                self.suspects.insert(host, now + AVOID_FOR);
            }
        }
        self.snapshot = None;
        heard
    }

    /// Returns whether a notice is of a start of its host that is known, or of a later one. What is known of that
    /// decides whether it is new.
    #[must_use]
    pub fn knows_start_of(&self, beat: &Beat) -> bool {
        self.hosts.get(&beat.host).is_some_and(|entry| beat.incarnation >= entry.beat.incarnation)
    }

    /// Takes in a notice that says only that nothing has changed.
    fn heard_briefly(&mut self, now: Instant, beat: &Beat) -> Heard {
        let Some(entry) = self.hosts.get_mut(&beat.host) else { return Heard::Unknown };
        let heard = match compare(entry, beat, now) {
            Heard::Stale => return Heard::Stale,
            _ if (entry.beat.incarnation, entry.beat.version) != (beat.incarnation, beat.version) => Heard::Unknown,
            heard => heard,
        };
        // Whatever else it runs by now, it is there.
        let is_here = entry.state == State::Here && entry.beat.incarnation == beat.incarnation;
        if heard != Heard::Unknown || (is_here && beat.sent > entry.sent) {
            (entry.heard, entry.sent) = (now, beat.sent);
        }
        if heard == Heard::Appeared {
            (entry.state, entry.since) = (State::Here, now);
            self.suspects.remove(&beat.host);
            self.snapshot = None;
        }
        heard
    }

    /// Takes out hosts that were not heard for [`Beat::lifetime`] and returns them.
    pub fn expire(&mut self, now: Instant) -> Vec<HostId> {
        let mut expired = Vec::new();
        for (host, entry) in &mut self.hosts {
            let is_silent = now.saturating_duration_since(entry.heard) >= entry.beat.lifetime();
            if is_silent && matches!(entry.state, State::Here | State::Lost) {
                if entry.state == State::Here {
                    expired.push(*host);
                }
                entry.state = State::Expired;
            }
        }
        self.hosts.retain(|_, entry| {
            let is_gone = matches!(entry.state, State::Expired | State::Left);
            !is_gone || now.saturating_duration_since(entry.heard) < REMEMBER_FOR.max(entry.beat.lifetime() * 2)
        });
        let suspects = self.suspects.len();
        self.suspects.retain(|_, until| *until > now);
        if !expired.is_empty() {
            self.snapshot = None;
        } else if self.suspects.len() != suspects {
            self.show_suspects();
        }
        expired
    }

    /// Returns the last notices of hosts that were taken out so, until they are forgotten or heard again.
    pub fn silent(&self) -> impl Iterator<Item = &Arc<Beat>> {
        self.hosts.values().filter(|entry| entry.state == State::Expired).map(|entry| &entry.beat)
    }

    /// Returns hosts whose next notice should have come by now: half an interval late, and not given up yet.
    #[must_use]
    pub fn late(&self, now: Instant) -> Vec<HostId> {
        let is_late = |entry: &Entry| {
            let interval = Duration::from_millis(entry.beat.interval_ms);
            entry.state == State::Here && now.saturating_duration_since(entry.heard) >= interval * 3 / 2
        };
        self.hosts.iter().filter(|(_, entry)| is_late(entry)).map(|(host, _)| *host).collect()
    }

    /// Returns whether a host is there and was heard at this time or later.
    #[must_use]
    pub fn heard_since(&self, host: &HostId, since: Instant) -> bool {
        self.hosts.get(host).is_some_and(|entry| entry.state == State::Here && entry.heard >= since)
    }

    /// Takes out a host nobody listens for, until it is heard again. Returns whether it was there.
    pub fn lost(&mut self, host: &HostId) -> bool {
        let Some(entry) = self.hosts.get_mut(host).filter(|entry| entry.state == State::Here) else { return false };
        entry.state = State::Lost;
        self.snapshot = None;
        true
    }

    /// Has calls avoid a host that did not answer in time, for two seconds, as long as another can take them.
    pub fn suspect(&mut self, host: &HostId, now: Instant) {
        // Calls may time out by the thousand: the suspicion is renewed only when half of it is over.
        let is_fresh = self.suspects.get(host).is_some_and(|until| *until > now + SUSPECT_FOR / 2);
        if !is_fresh && self.hosts.contains_key(host) {
            self.suspects.insert(*host, now + SUSPECT_FOR);
            self.show_suspects();
        }
    }

    /// Ends a suspicion: the host answered.
    pub fn trust(&mut self, host: &HostId) {
        if self.suspects.remove(host).is_some() {
            self.show_suspects();
        }
    }

    /// Has the next view show who is suspected, and all else as the last one did.
    fn show_suspects(&mut self) {
        self.snapshot = self.snapshot.take().map(|snapshot| Arc::new(snapshot.with_suspects(self.suspects.clone())));
    }

    /// Returns an immutable view, made anew only if something changed.
    pub fn snapshot(&mut self) -> Arc<DirectorySnapshot> {
        if let Some(snapshot) = &self.snapshot {
            return snapshot.clone();
        }
        let here = self.hosts.iter().filter(|(_, entry)| entry.state == State::Here);
        let hosts = here.map(|(host, entry)| (*host, KnownHost { beat: entry.beat.clone(), since: entry.since }));
        let snapshot = Arc::new(DirectorySnapshot::new(hosts.collect(), self.suspects.clone()));
        self.snapshot = Some(snapshot.clone());
        snapshot
    }
}

/// Decides what a notice of a known host means.
fn compare(known: &Entry, beat: &Beat, now: Instant) -> Heard {
    let (old, new) = ((known.beat.incarnation, known.beat.version), (beat.incarnation, beat.version));
    // Sent again, by the network or by somebody.
    let is_repeated = new == old && beat.sent <= known.sent;
    let is_stale = match known.state {
        State::Here | State::Lost => new < old || is_repeated,
        State::Expired => new.0 == old.0 && (new.1 < old.1 || is_repeated),
        State::Left => {
            let is_over = now.saturating_duration_since(known.heard) >= FORGET_AFTER.max(known.beat.lifetime() * 2);
            new.0 == old.0 || (new.0 < old.0 && !is_over)
        }
    };
    match known.state {
        _ if is_stale => Heard::Stale,
        _ if beat.last => Heard::Left,
        State::Here if new == old => Heard::Same,
        State::Here if new.0 == old.0 => Heard::Changed,
        _ => Heard::Appeared,
    }
}

#[cfg(test)]
mod tests;
