//! Calls: each ends in time with an answer or a named failure, and runs as often as it may.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use wattle_types::{HostId, LinkKey};

use super::{Seen, Witness};
use crate::model::Place;

/// How much later than its deadline a call may end.
const SLACK: Duration = Duration::from_millis(50);
/// How long a host must have served something before a calm lattice may not fail a call to it.
const SETTLED: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) origin: HostId,
    pub(crate) place: Place,
    pub(crate) link: Option<LinkKey>,
    pub(crate) repeatable: bool,
    pub(crate) deadline: Instant,
}

/// Which call this is. Travels in its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Called(pub(crate) u64);

#[derive(Debug)]
struct Call {
    asked: Asked,
    begun: Instant,
    ran: Vec<HostId>,
    has_ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u64,
    calls: BTreeMap<Called, Call>,
}

/// Names of failures after which a call certainly did not run, where it was not repeated.
const NOT_RUN: [&str; 8] = [
    "actor_not_found",
    "bus_disconnected",
    "draining",
    "link_not_found",
    "no_responders",
    "overloaded",
    "provider_unavailable",
    "session_refused",
];

impl Witness {
    /// Takes in a call that begins.
    pub(crate) fn called(&self, asked: Asked) -> Called {
        let mut seen = self.seen();
        seen.count("calls");
        seen.calls.last += 1;
        let id = Called(seen.calls.last);
        seen.calls.calls.insert(id, Call { asked, begun: Instant::now(), ran: Vec::new(), has_ended: false });
        id
    }

    /// Takes in that a host begins to carry a call out.
    pub(crate) fn runs(&self, id: Called, host: HostId) {
        let mut seen = self.seen();
        let Some(call) = seen.calls.calls.get_mut(&id) else {
            return seen.complain(&format!("{host} runs {id:?}, which nobody made"));
        };
        call.ran.push(host);
        let (times, repeatable) = (call.ran.len(), call.asked.repeatable);
        if times > 1 {
            let hosts = call.ran.clone();
            if repeatable {
                seen.count("calls repeated");
            } else {
                seen.complain(&format!("{id:?} may run once and ran {times} times: {hosts:?}"));
            }
        }
    }

    /// Takes in how a call ended: with an answer, or the stable name of why not.
    pub(crate) fn ended(&self, id: Called, result: Result<HostId, &str>, is_calm: bool) {
        let mut seen = self.seen();
        let Some(call) = seen.calls.calls.get_mut(&id) else { return };
        call.has_ended = true;
        let (asked, begun, ran) = (call.asked.clone(), call.begun, call.ran.clone());
        let late = Instant::now().saturating_duration_since(asked.deadline);
        if late > SLACK {
            seen.complain(&format!("{id:?} ended {late:?} after its deadline"));
        }
        match result {
            Ok(host) if !ran.contains(&host) => {
                seen.complain(&format!("{id:?} was answered by {host}, which did not run it"))
            }
            Ok(_) => seen.count("calls answered"),
            Err(code) if NOT_RUN.contains(&code) && !asked.repeatable && !ran.is_empty() => {
                seen.complain(&format!("{id:?} is said not to have run ({code}) and did, on {ran:?}"));
            }
            Err(code) => {
                seen.count("calls failed");
                seen.log.add(&format!("{id:?} to {} ended with {code}", asked.place));
                if is_calm && !["guest_failed", "overloaded"].contains(&code) && seen.could_serve(&asked, begun) {
                    seen.complain(&format!(
                        "{id:?} from {} to {} ended with {code} though another host served it all the time",
                        asked.origin, asked.place
                    ));
                }
            }
        }
    }

    /// Complains about calls that have not ended.
    pub(crate) fn check_calls_ended(&self) {
        let mut seen = self.seen();
        let open: Vec<_> = seen.calls.calls.iter().filter(|(_, call)| !call.has_ended).map(|(id, _)| *id).collect();
        if let Some(first) = open.first() {
            seen.complain(&format!("{} calls have not ended, the first is {first:?}", open.len()));
        }
    }

    /// Forgets a call whose caller died: nobody is told anything.
    pub(crate) fn caller_died(&self, id: Called) {
        let mut seen = self.seen();
        seen.count("calls whose caller died");
        if let Some(call) = seen.calls.calls.get_mut(&id) {
            call.has_ended = true;
        }
    }
}

impl Seen {
    /// Whether some host served what was asked for from well before the call until now.
    fn could_serve(&self, asked: &Asked, begun: Instant) -> bool {
        let is_settled = |since: &Instant| begun.saturating_duration_since(*since) >= SETTLED;
        let is_linked = asked.link.as_ref().is_none_or(|key| self.links.get(key).is_some_and(is_settled));
        let mut serving = self.serving.iter().filter(|((place, _), _)| *place == asked.place);
        is_linked && serving.any(|(_, since)| is_settled(since))
    }
}
