//! The control interface: requests on the bus become changes of the host.
//!
//! One task receives what is meant for this host, another what is meant for any one of all; every request is worked on
//! in a task of its own, at most [`REQUESTS_MAX`] at once. A host that drains leaves the second kind to others.

mod auctions;
mod claims;
mod commands;
mod components;
mod configs;
mod hosts;
mod links;
mod permit;
mod providers;
mod reply;
mod verbs;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::SelectAll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use wattle_bus::{Bus, BusError, Message, listen};
use wattle_types::{LatticeId, signed, subject};

pub(crate) use permit::Permits;
use permit::{Asker, check_in_time};

pub use permit::PermitError;

use crate::{
    error::HostError,
    host::{Host, unix_millis, unix_now},
};

/// Requests worked on at once; more wait on the bus, whose buffers are bounded.
const REQUESTS_MAX: usize = 64;
/// Watches at once; they last long, and so have places of their own.
const WATCHES_MAX: usize = 16;
/// Commands at once that wait for what the whole lattice does; they too last long.
const LASTING_MAX: usize = 64;

/// Verbs every host hears.
const FOR_ALL: [&str; 4] = ["host.ping", "component.auction", "provider.auction", "registry.put"];
/// Verbs one host of the lattice hears, and the queue group that decides which.
const FOR_ONE_OF_ALL: [(&str, &str); 3] = [("link.*", "link"), ("claims.*", "claims"), ("config.>", "config")];
/// Verbs sent to one host, which stands at the end of the subject.
const FOR_THIS_HOST: &str = "*.*";

/// Verbs whose requests are taken one after the other, as they came: of two that a deployer sends at once, the second
/// may be about what the first has changed. What they ask for is done after they are answered.
const IN_ORDER: [&str; 4] = ["component.scale", "component.update", "provider.start", "provider.stop"];

/// Who a request is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    All,
    OneOfAll,
    ThisHost,
}

/// Subscribes to the control interface and serves it until the host has stopped.
pub(crate) async fn serve(host: &Host, bus: Arc<dyn Bus>) -> Result<(), HostError> {
    let lattice = &host.config().lattice;
    let mut ours = SelectAll::new();
    for verb in FOR_ALL {
        ours.push(requests(&bus, subject::control(lattice, verb), None, Audience::All).await?);
    }
    let addressed = subject::control_host(lattice, FOR_THIS_HOST, &host.id());
    ours.push(requests(&bus, addressed, None, Audience::ThisHost).await?);
    let mut anybodys = SelectAll::new();
    for (verb, group) in FOR_ONE_OF_ALL {
        let (subject, group) = (subject::control(lattice, verb), subject::control(lattice, group));
        anybodys.push(requests(&bus, subject, Some(group), Audience::OneOfAll).await?);
    }
    let events = crate::events::publish_events(bus.clone(), lattice.clone(), host.id(), host.events());
    let desk = Desk::new(host, bus);
    host.tasks().spawn(events);
    host.tasks().spawn(desk.clone().receive(ours, host.stopped().clone()));
    host.tasks().spawn(desk.receive(anybodys, host.closing().clone()));
    Ok(())
}

type Requests = SelectAll<futures::stream::BoxStream<'static, (Audience, Message)>>;

async fn requests(
    bus: &Arc<dyn Bus>,
    subject: String,
    group: Option<String>,
    audience: Audience,
) -> Result<futures::stream::BoxStream<'static, (Audience, Message)>, HostError> {
    let requests = listen(bus.clone(), subject, group).await;
    let requests = requests.map_err(|error| HostError::Listen { what: "control requests", error })?;
    Ok(requests.map(move |request| (audience, request)).boxed())
}

/// Where requests are taken, and the places to work on them.
#[derive(Clone)]
struct Desk {
    host: Host,
    bus: Arc<dyn Bus>,
    places: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    lasting: Arc<Semaphore>,
}

impl Desk {
    fn new(host: &Host, bus: Arc<dyn Bus>) -> Self {
        let [places, watches, lasting] =
            [REQUESTS_MAX, WATCHES_MAX, LASTING_MAX].map(|places| Arc::new(Semaphore::new(places)));
        Self { host: host.clone(), bus, places, watches, lasting }
    }

    /// Takes requests until `end`.
    async fn receive(self, mut requests: Requests, end: CancellationToken) {
        // As many as there are places for: who has a place never waits here.
        let (in_order, waiting) = mpsc::channel(REQUESTS_MAX);
        self.host.tasks().spawn(self.clone().handle_in_order(waiting));
        loop {
            let next = tokio::select! {
                biased;
                () = end.cancelled() => return,
                next = requests.next() => next,
            };
            let Some((audience, request)) = next else { return };
            let Some(verb) = self.verb(audience, &request.subject).map(str::to_owned) else { continue };
            if request.wants_answer_elsewhere() {
                tracing::warn!(
                    verb,
                    reply = request.reply,
                    "a control request is dropped: its reply subject is no inbox"
                );
                continue;
            }
            let place = tokio::select! {
                biased;
                () = end.cancelled() => return,
                place = self.place(&verb, &request) => place,
            };
            let Some(place) = place else { continue };
            if IN_ORDER.contains(&verb.as_str()) {
                // Its other end stays open for as long as this one.
                let _ = in_order.send((audience, verb, request, place)).await;
                continue;
            }
            let desk = self.clone();
            self.host.tasks().spawn(async move {
                desk.handle(audience, &verb, request).await;
                drop(place);
            });
        }
    }

    /// Works on requests one after the other until no more can come.
    async fn handle_in_order(self, mut waiting: mpsc::Receiver<(Audience, String, Message, OwnedSemaphorePermit)>) {
        while let Some((audience, verb, request, place)) = waiting.recv().await {
            self.handle(audience, &verb, request).await;
            drop(place);
        }
    }

    /// Waits for a place to work on a request. What lasts has places of its own, and is refused when they are taken: it
    /// must not keep out a leader's orders.
    async fn place(&self, verb: &str, request: &Message) -> Option<OwnedSemaphorePermit> {
        let (places, limit) = match verb {
            commands::WATCH => (&self.watches, WATCHES_MAX),
            verb if commands::LASTING.contains(&verb) => (&self.lasting, LASTING_MAX),
            _ => return self.places.clone().acquire_owned().await.ok(),
        };
        let place = places.clone().try_acquire_owned().ok();
        if place.is_none() {
            commands::refuse_lasting(self.bus.as_ref(), request, limit).await;
        }
        place
    }

    async fn handle(&self, audience: Audience, verb: &str, request: Message) {
        let (host, payload) = (&self.host, &request.payload);
        let (asker, until) = match self.check(audience, verb, &request) {
            Ok(checked) => checked,
            Err(error) => return self.refuse(audience, verb, &request, error).await,
        };
        let answer = match audience {
            Audience::All => verbs::for_all(host, verb, payload).await,
            Audience::OneOfAll => match while_of_use(until, verbs::for_one_of_all(host, verb, payload)).await {
                Ok(answer) => Some(answer),
                Err(error) => return self.refuse(audience, verb, &request, error).await,
            },
            Audience::ThisHost => match verb.strip_prefix(commands::PREFIX) {
                Some(commands::ASK) => {
                    let asked = commands::answer(host, self.bus.as_ref(), commands::ASK, &request, asker);
                    return match while_of_use(until, asked).await {
                        Ok(()) => {}
                        Err(error) => self.refuse(audience, verb, &request, error).await,
                    };
                }
                Some(command) => return commands::answer(host, self.bus.as_ref(), command, &request, asker).await,
                None => Some(verbs::for_this_host(host, verb, payload).await),
            },
        };
        if let Some(answer) = answer {
            self.answer(verb, &request, answer).await;
        }
        if audience == Audience::ThisHost
            && let Some(stop) = hosts::stop_of_this_host(host, verb, payload)
        {
            host.shutdown_in_background(stop.timeout_ms.map(Duration::from_millis));
        }
    }

    /// Checks that a request may be carried out, now. Returns what its signature proves, and until when it is of use.
    fn check(&self, audience: Audience, verb: &str, request: &Message) -> Result<(Asker, Option<u64>), PermitError> {
        let until = check_in_time(request, unix_millis())?;
        if audience == Audience::OneOfAll {
            self.host.permits().check_addressed(verb)?;
        }
        Ok((self.host.permits().check(verb, request, unix_now())?, until))
    }

    /// Says why a request is not carried out. What all hosts hear each of them would say: it is logged.
    async fn refuse(&self, audience: Audience, verb: &str, request: &Message, error: PermitError) {
        tracing::warn!(verb, code = error.code(), %error, "a control request is refused");
        if audience == Audience::ThisHost && verb.starts_with(commands::PREFIX) {
            return commands::refuse(self.bus.as_ref(), request, error).await;
        }
        if audience != Audience::All {
            let answer = reply::ack(Err(error.to_string()));
            let clock = matches!(error, PermitError::Late { .. }).then(clock);
            self.publish(verb, request, answer, clock.as_slice()).await;
        }
    }

    /// Sends an answer; of one that is too large, that it is.
    async fn answer(&self, verb: &str, request: &Message, answer: Vec<u8>) {
        self.publish(verb, request, answer, &[]).await;
    }

    async fn publish(&self, verb: &str, request: &Message, answer: Vec<u8>, headers: &[(String, String)]) {
        let Some(reply) = &request.reply else { return };
        let mut sent = self.bus.publish(reply, None, headers, answer.into()).await;
        if let Err(error @ BusError::TooLarge { .. }) = sent {
            let refusal = reply::ack(Err(format!("the answer cannot be sent: {error}")));
            sent = self.bus.publish(reply, None, &[], refusal.into()).await;
        }
        if let Err(error) = sent {
            tracing::warn!(%error, verb, "a control request was not answered");
        }
    }

    fn verb<'a>(&self, audience: Audience, subject: &'a str) -> Option<&'a str> {
        verb(audience, subject, &self.host.config().lattice, &self.host.id().to_string())
    }
}

/// Returns the header that tells whoever came late what our clock shows: it may be the clocks that differ.
fn clock() -> (String, String) {
    (signed::CLOCK.into(), unix_millis().to_string())
}

/// Carries out what changes the shared state, and stops when whoever asked has given up: he may have asked for
/// something else since, of another host.
async fn while_of_use<T>(until: Option<u64>, work: impl Future<Output = T>) -> Result<T, PermitError> {
    let Some(until) = until else { return Ok(work.await) };
    let left = Duration::from_millis(until.saturating_sub(unix_millis()));
    tokio::select! {
        biased;
        () = tokio::time::sleep(left) => Err(PermitError::Late { late_ms: unix_millis().saturating_sub(until) }),
        done = work => Ok(done),
    }
}

/// Returns the verb of a control subject: what stands after the lattice and, in requests to one host, before the host.
fn verb<'a>(audience: Audience, subject: &'a str, lattice: &LatticeId, host: &str) -> Option<&'a str> {
    let verb = subject.strip_prefix(&subject::control(lattice, ""))?;
    match audience {
        Audience::All | Audience::OneOfAll => Some(verb),
        // A configuration may have the name of a host; the request is then heard twice, and meant for one of all.
        Audience::ThisHost if verb.starts_with(configs::PREFIX) => None,
        Audience::ThisHost => verb.strip_suffix(host)?.strip_suffix('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_stands_between_lattice_and_host() {
        let verb = |audience, subject| verb(audience, subject, &LatticeId::default(), "NX");
        assert_eq!(verb(Audience::All, "wasmbus.ctl.v1.default.host.ping"), Some("host.ping"));
        assert_eq!(verb(Audience::ThisHost, "wasmbus.ctl.v1.default.host.get.NX"), Some("host.get"));
        assert_eq!(verb(Audience::ThisHost, "wasmbus.ctl.v1.default.wattle.call.NX"), Some("wattle.call"));
        assert_eq!(verb(Audience::OneOfAll, "wasmbus.ctl.v1.default.config.get.NX"), Some("config.get.NX"));
        assert_eq!(verb(Audience::ThisHost, "wasmbus.ctl.v1.default.config.get.NX"), None);
        assert_eq!(verb(Audience::ThisHost, "wasmbus.ctl.v1.default.host.get.NY"), None);
        assert_eq!(verb(Audience::All, "wasmbus.ctl.v1.other.host.ping"), None);
    }

    #[test]
    fn the_number_of_requests_at_once_is_as_documented() {
        let page = include_str!("../../../docs/subjects.md").replace('\n', " ");
        assert!(page.contains(&format!("At most {REQUESTS_MAX} requests are worked on at once; more wait.")));
        let lasting = "What lasts has places of its own, and the next one is refused with `overloaded`: ";
        let places = page.split_once(lasting).and_then(|(_, rest)| rest.split_once(" together."));
        let (watches, lasting) = places.expect("what lasts").0.split_once("; ").expect("two kinds of it");
        let verb = |name: &'static str| name.strip_prefix(commands::PREFIX).expect("a verb of ours");
        assert_eq!(watches, format!("{WATCHES_MAX} of `{}`", verb(commands::WATCH)));
        assert!(lasting.starts_with(&format!("{LASTING_MAX} of ")), "{lasting}");
        let named: Vec<&str> = lasting.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, commands::LASTING.map(verb));
    }
}
