//! Whose clock is wrong, as far as hosts can tell from each other's beats.
//!
//! What is signed with a time is refused when two clocks are too far apart. Nobody knows the right time here; but a
//! host that fewer others agree with than with another host would lead in vain, so it leaves leading to that one.
//! Where nobody is agreed with more, as between two hosts, whoever leads goes on: taking turns would help no one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use wattle_types::{
    HostId,
    signed::{CLOCKS_APART_MAX_SECS, ahead_of},
};

/// How long clocks must look apart, or together again, until it is believed: beats may have waited on their way.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Clocks that were apart are together again only when they are nearer by this, in seconds.
const MARGIN_SECS: u64 = 5;

/// What the clocks of the lattice look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Hosts whose clocks are too far from ours, and by how many seconds they are ahead of it.
    pub(super) apart: BTreeMap<HostId, i64>,
    /// More hosts agree with another host's clock than with ours.
    pub(super) is_outvoted: bool,
}

/// The clocks of other hosts, against ours.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    ahead: BTreeMap<HostId, i64>,
    view: View,
    /// Since when it looks otherwise.
    otherwise: Option<Instant>,
}

impl Clocks {
    /// Takes in what another host's clock shows while ours shows this, in seconds since 1970.
    pub(super) fn heard(&mut self, host: HostId, theirs: u64, ours: u64) {
        self.ahead.insert(host, ahead_of(theirs, ours));
    }

    /// Returns by how many seconds another host's clock is ahead of ours; behind if negative.
    pub(super) fn ahead(&self, host: &HostId) -> i64 {
        self.ahead.get(host).copied().unwrap_or_default()
    }

    /// Looks at the clocks of the hosts that are there. Returns the view if it is another one than before.
    pub(super) fn look(&mut self, now: Instant, is_there: impl Fn(&HostId) -> bool) -> Option<&View> {
        self.ahead.retain(|host, _| is_there(host));
        let fresh = self.seen();
        if fresh.is_outvoted == self.view.is_outvoted && fresh.apart.keys().eq(self.view.apart.keys()) {
            self.otherwise = None;
            return None;
        }
        if now.saturating_duration_since(*self.otherwise.get_or_insert(now)) < SETTLED_AFTER {
            return None;
        }
        (self.view, self.otherwise) = (fresh, None);
        Some(&self.view)
    }

    /// Returns whether this host should leave leading to others.
    pub(super) const fn is_outvoted(&self) -> bool {
        self.view.is_outvoted
    }

    fn seen(&self) -> View {
        let is_apart = |host, ahead: &i64| ahead.unsigned_abs() > window(self.view.apart.contains_key(host));
        let apart = self.ahead.iter().filter(|(host, ahead)| is_apart(host, ahead));
        let apart: BTreeMap<_, _> = apart.map(|(host, ahead)| (*host, *ahead)).collect();
        let is_outvoted = !apart.is_empty() && self.is_another_agreed_with_more();
        View { apart, is_outvoted }
    }

    fn is_another_agreed_with_more(&self) -> bool {
        let mut clocks: Vec<i64> = self.ahead.values().copied().chain([0]).collect();
        clocks.sort_unstable();
        let window = i64::try_from(window(self.view.is_outvoted)).unwrap_or(i64::MAX);
        // How many clocks, itself among them, are near one.
        let near = |clock: i64| {
            let first = clocks.partition_point(|other| *other < clock.saturating_sub(window));
            clocks.partition_point(|other| *other <= clock.saturating_add(window)) - first
        };
        clocks.iter().any(|clock| near(*clock) > near(0))
    }
}

/// Returns how far clocks may be apart, in seconds; nearer if they were farther before, so that it does not go to and
/// fro.
const fn window(were_apart: bool) -> u64 {
    if were_apart { CLOCKS_APART_MAX_SECS - MARGIN_SECS } else { CLOCKS_APART_MAX_SECS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::host;

    /// What a host sees of others whose clocks are ahead of its own by so much.
    fn view(ahead: &[i64]) -> (Vec<i64>, bool) {
        let (mut clocks, now) = (Clocks::default(), Instant::now());
        for (n, ahead) in (1..).zip(ahead) {
            clocks.heard(host(n), 1_000_000_u64.saturating_add_signed(*ahead), 1_000_000);
        }
        clocks.look(now, |_| true);
        let view = clocks.look(now + SETTLED_AFTER, |_| true).cloned().unwrap_or_default();
        (view.apart.into_values().collect(), view.is_outvoted)
    }

    #[test]
    fn who_fewer_agree_with_than_with_another_is_outvoted() {
        assert_eq!(view(&[]), (vec![], false));
        assert_eq!(view(&[60, -60]), (vec![], false));
        // Two hosts cannot tell which of them is wrong.
        assert_eq!(view(&[61]), (vec![61], false));
        assert_eq!(view(&[95, 97]), (vec![95, 97], true));
        assert_eq!(view(&[0, 97]), (vec![97], false));
        // Each for itself.
        assert_eq!(view(&[100, 200]), (vec![100, 200], false));
        // The one in the middle is agreed with by both.
        assert_eq!(view(&[50, 100]), (vec![100], true));
        assert_eq!(view(&[-50, 50]), (vec![], false));
        assert_eq!(view(&[0, 0, -90, -90]), (vec![-90, -90], false));
        assert_eq!(view(&[0, -90, -90, -90]), (vec![-90, -90, -90], true));
        assert!(!view(&[i64::MAX, i64::MIN]).1);
    }

    #[test]
    fn it_is_told_once_and_only_when_it_has_settled() {
        let (mut clocks, now) = (Clocks::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        clocks.heard(host(1), 1_100, 1_000);
        assert_eq!(clocks.look(at(0), |_| true), None);
        // A beat that had waited.
        clocks.heard(host(1), 1_000, 1_000);
        assert_eq!(clocks.look(at(1_000), |_| true), None);
        clocks.heard(host(1), 1_100, 1_000);
        assert_eq!(clocks.look(at(2_000), |_| true), None);
        assert_eq!(clocks.look(at(4_000), |_| true).map(|view| view.apart.len()), Some(1));
        clocks.heard(host(1), 1_101, 1_000);
        assert_eq!(clocks.look(at(9_000), |_| true), None);
        // Nearly together is not together.
        clocks.heard(host(1), 1_058, 1_000);
        assert_eq!(clocks.look(at(10_000), |_| true), None);
        assert_eq!(clocks.look(at(20_000), |_| true), None);
        assert_eq!(clocks.look(at(30_000), |_| false), None);
        assert_eq!(clocks.look(at(32_000), |_| false), Some(&View::default()));
    }
}
