//! The control interface: requests on the bus become changes of the host.
//!
//! One task receives; every request is worked on in a task of its own, at most [`REQUESTS_MAX`] at once.

mod commands;
mod verbs;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::SelectAll};
use tokio::sync::Semaphore;
use wattle_bus::{Bus, Message, Subscription};
use wattle_types::{LatticeId, subject};

use crate::{error::HostError, host::Host};

/// Requests worked on at once; more wait on the bus, whose buffers are bounded.
const REQUESTS_MAX: usize = 64;
/// Watches at once; they last long, and so have places of their own.
const WATCHES_MAX: usize = 16;

/// Verbs every host answers.
const BROADCAST: [&str; 1] = ["host.ping"];
/// Verbs one host of the lattice answers.
const QUEUED: [&str; 4] = ["link.put", "link.del", "link.get", "claims.get"];
/// Verbs sent to one host, which stands at the end of the subject. `wattle.*` are ours.
const ADDRESSED: [&str; 7] =
    ["host.get", "host.stop", "component.scale", "component.update", "provider.start", "provider.stop", "wattle.*"];

/// Subscribes to the control interface and serves it until the host has stopped.
pub(crate) async fn serve(host: &Host, bus: Arc<dyn Bus>) -> Result<(), HostError> {
    let requests = subscribe(host, bus.as_ref()).await?;
    let events = crate::events::publish_events(bus.clone(), host.config().lattice.clone(), host.id(), host.events());
    host.tasks().spawn(events);
    host.tasks().spawn(receive(host.clone(), bus, requests));
    Ok(())
}

async fn subscribe(host: &Host, bus: &dyn Bus) -> Result<SelectAll<Subscription>, HostError> {
    let lattice = &host.config().lattice;
    let own = host.id();
    let everybody = BROADCAST.map(|verb| (subject::control(lattice, verb), None));
    let one = QUEUED.map(|verb| (subject::control(lattice, verb), Some(subject::control(lattice, verb))));
    let addressed = ADDRESSED.map(|verb| (subject::control_host(lattice, verb, &own), None));
    let mut all = SelectAll::new();
    for (subject, queue) in everybody.into_iter().chain(one).chain(addressed) {
        let subscription = bus.subscribe(&subject, queue.as_deref()).await;
        all.push(subscription.map_err(|error| HostError::Internal(format!("control interface: {error}")))?);
    }
    Ok(all)
}

async fn receive(host: Host, bus: Arc<dyn Bus>, mut requests: SelectAll<Subscription>) {
    let (places, watches) = (Arc::new(Semaphore::new(REQUESTS_MAX)), Arc::new(Semaphore::new(WATCHES_MAX)));
    let own = host.id().to_string();
    loop {
        let request = tokio::select! {
            biased;
            () = host.stopped().cancelled() => return,
            request = requests.next() => request,
        };
        let Some(request) = request else { return };
        let Some(verb) = verb(&request.subject, &host.config().lattice, &own).map(str::to_owned) else { continue };
        let place = if verb == commands::WATCH {
            match watches.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    commands::refuse_watch(bus.as_ref(), &request, WATCHES_MAX).await;
                    continue;
                }
            }
        } else {
            tokio::select! {
                biased;
                () = host.stopped().cancelled() => return,
                place = places.clone().acquire_owned() => match place {
                    Ok(place) => place,
                    Err(_) => return,
                },
            }
        };
        let (working_host, bus) = (host.clone(), bus.clone());
        host.tasks().spawn(async move {
            handle(&working_host, bus.as_ref(), &verb, request).await;
            drop(place);
        });
    }
}

async fn handle(host: &Host, bus: &dyn Bus, verb: &str, request: Message) {
    if let Some(command) = verb.strip_prefix(commands::PREFIX) {
        return commands::answer(host, bus, command, &request).await;
    }
    let answer = verbs::answer(host, verb, &request.payload).await;
    let Some(reply) = &request.reply else { return };
    if let Err(error) = bus.publish(reply, None, &[], answer.into()).await {
        tracing::warn!(%error, verb, "a control request was not answered");
    }
    if let Some(stop) = verbs::stop_of_this_host(host, verb, &request.payload) {
        host.shutdown_in_background(stop.timeout_ms.map(Duration::from_millis));
    }
}

/// Returns the verb of a control subject: what stands between the lattice and, if there, the host.
fn verb<'a>(subject: &'a str, lattice: &LatticeId, host: &str) -> Option<&'a str> {
    let verb = subject.strip_prefix(&subject::control(lattice, ""))?;
    Some(verb.strip_suffix(host).and_then(|verb| verb.strip_suffix('.')).unwrap_or(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_stands_between_lattice_and_host() {
        let lattice = LatticeId::default();
        assert_eq!(verb("wasmbus.ctl.v1.default.host.ping", &lattice, "NX"), Some("host.ping"));
        assert_eq!(verb("wasmbus.ctl.v1.default.host.get.NX", &lattice, "NX"), Some("host.get"));
        assert_eq!(verb("wasmbus.ctl.v1.default.wattle.call.NX", &lattice, "NX"), Some("wattle.call"));
        assert_eq!(verb("wasmbus.ctl.v1.other.host.ping", &lattice, "NX"), None);
    }
}
