//! The connections of an address, by client: how many each may have, and which goes first when there is no room.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    connection::{Activity, Work},
    settings::ConnectionLimits,
};

/// A connection on which nothing happens for less is none that is idle: its request may be on the way.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// All connections of an address. Changed when one comes or goes, never for a request.
#[derive(Default)]
pub(crate) struct Clients(Mutex<Places>);

#[derive(Default)]
struct Places {
    /// In the order in which they came.
    open: BTreeMap<u64, Place>,
    counts: BTreeMap<IpAddr, usize>,
    last: u64,
}

struct Place {
    client: IpAddr,
    activity: Arc<Activity>,
    /// What had happened on it when it was looked at, and since when nothing else has.
    work: Work,
    idle_since: Instant,
}

/// What happens to a connection that has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It has the place of this number.
    Place(u64),
    /// There is no room. An idle one was asked to end, if there is one.
    Full,
    /// Its client has as many as one may have.
    TooMany,
}

impl Clients {
    /// Gives a connection a place.
    pub(crate) fn admit(
        &self,
        client: IpAddr,
        activity: &Arc<Activity>,
        limits: ConnectionLimits,
        now: Instant,
    ) -> Admission {
        let client = group(client);
        let mut places = self.lock();
        let count = places.counts.get(&client).copied().unwrap_or(0);
        if count >= limits.max_connections_per_client {
            return Admission::TooMany;
        }
        if places.open.len() >= limits.max_connections {
            places.end_idle(now);
            return Admission::Full;
        }
        places.last += 1;
        let number = places.last;
        let work = activity.work();
        places.open.insert(number, Place { client, activity: Arc::clone(activity), work, idle_since: now });
        *places.counts.entry(client).or_default() += 1;
        Admission::Place(number)
    }

    /// Takes a connection's place back.
    pub(crate) fn leave(&self, number: u64) {
        let mut places = self.lock();
        let Some(place) = places.open.remove(&number) else { return };
        if let Some(count) = places.counts.get_mut(&place.client) {
            *count -= 1;
            if *count == 0 {
                places.counts.remove(&place.client);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change is complete before anything that could panic: a poisoned state is still a good one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Asks an idle connection to end, of the client with the most: who has many has the least need of each.
    fn end_idle(&mut self, now: Instant) {
        let Self { open, counts, .. } = self;
        let idle = open.values_mut().filter_map(|place| place.is_idle(now).then_some(&*place));
        let count = |place: &Place| counts.get(&place.client).copied().unwrap_or(0);
        if let Some(place) = idle.max_by_key(|place| (count(place), Reverse(place.idle_since))) {
            place.activity.end();
        }
    }
}

impl Place {
    /// Returns whether nothing has happened for a while. Bytes that became no request are nothing.
    fn is_idle(&mut self, now: Instant) -> bool {
        let work = self.activity.work();
        if work.is_going_on() || work != self.work {
            self.work = work;
            self.idle_since = now;
        }
        now.saturating_duration_since(self.idle_since) >= IDLE_MIN && !self.activity.is_ending()
    }
}

/// Returns what counts as one client: an address, or the network of one in IPv6, all of which a client may use.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        max_header_bytes: 1,
        max_connections: 4,
        max_connections_per_client: 3,
        header_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
    };

    fn admit(clients: &Clients, client: &str, now: Instant) -> (Admission, Arc<Activity>) {
        let activity = Arc::new(Activity::default());
        (clients.admit(client.parse().unwrap(), &activity, LIMITS, now), activity)
    }

    #[test]
    fn without_room_the_idle_one_of_the_client_with_most_ends() {
        let clients = Clients::default();
        let begin = Instant::now();
        let (_, alone) = admit(&clients, "10.0.0.1", begin);
        let many = [(); 3].map(|()| admit(&clients, "10.0.0.2", begin));
        let ended = || [&alone, &many[0].1, &many[1].1, &many[2].1].map(|activity| activity.is_ending());
        let _busy = many[0].1.request(false);
        drop(many[1].1.request(false));
        // Looked at for the first time: what happened since they came may just have.
        for (after, expected) in [
            (0, [false; 4]),
            (1, [false, false, false, true]),
            (2, [false, false, true, true]),
            (3, [true, false, true, true]),
        ] {
            assert_eq!(admit(&clients, "10.0.0.3", begin + IDLE_MIN * after).0, Admission::Full);
            assert_eq!(ended(), expected, "{after}");
        }
        let Admission::Place(number) = many[1].0 else { panic!() };
        clients.leave(number);
        assert!(matches!(admit(&clients, "10.0.0.3", begin).0, Admission::Place(_)));
    }

    #[test]
    fn a_client_with_too_many_is_refused_until_one_has_gone() {
        let clients = Clients::default();
        let now = Instant::now();
        let many = [(); 3].map(|()| admit(&clients, "10.0.0.2", now).0);
        assert_eq!(admit(&clients, "10.0.0.2", now).0, Admission::TooMany);
        let Admission::Place(number) = many[0] else { panic!() };
        clients.leave(number);
        assert!(matches!(admit(&clients, "10.0.0.2", now).0, Admission::Place(_)));
    }

    #[test]
    fn what_one_client_may_use_counts_as_one() {
        let same = |one: &str, other: &str| group(one.parse().unwrap()) == group(other.parse().unwrap());
        assert!(same("::ffff:10.0.0.1", "10.0.0.1") && same("2001:db8::1", "2001:db8::2:0:0:1"));
        assert!(!same("10.0.0.1", "10.0.0.2") && !same("2001:db8::1", "2001:db8:0:1::1"));
    }
}
