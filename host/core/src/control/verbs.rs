//! wasmCloud's control interface v1: one JSON request, one JSON reply.
//!
//! Acknowledgements say what was accepted, not what was done; how it ended is told by an event.

use serde::{Serialize, de::DeserializeOwned};
use wattle_types::{
    ActorId, ContractId, LinkDefinition, LinkKey,
    control::{DeleteLink, Link, Reply, ScaleComponent, StartProvider, StopHost, StopProvider, UpdateComponent},
};

use crate::{
    error::HostError,
    host::{self, Host},
    inventory,
    steps::Steps,
};

/// Answers one request with the bytes of its reply.
pub(super) async fn answer(host: &Host, verb: &str, payload: &[u8]) -> Vec<u8> {
    match verb {
        "host.ping" => json(&Reply::ok(inventory::describe_host(host))),
        "host.get" => json(&Reply::ok(host.inventory())),
        "host.stop" => with(payload, |stop: StopHost| stop_host(host, &stop)),
        "component.scale" => with(payload, |scale| scale_component(host, scale)),
        "component.update" => with(payload, |update| update_component(host, update)),
        "provider.start" => with(payload, |start| start_provider(host, start)),
        "provider.stop" => with(payload, |stop| stop_provider(host, &stop)),
        "claims.get" => json(&Reply::ok(host.claims())),
        "link.get" => json(&Reply::ok(host.links().iter().map(|link| to_wire(link)).collect::<Vec<_>>())),
        "link.put" => match serde_json::from_slice(payload) {
            Ok(link) => json(&put_link(host, link).await),
            Err(error) => unreadable(&error),
        },
        "link.del" => match serde_json::from_slice(payload) {
            Ok(link) => json(&delete_link(host, link).await),
            Err(error) => unreadable(&error),
        },
        _ => json(&Reply::<()>::error("unsupported subject")),
    }
}

type Ack = Reply<()>;

/// Returns the request to stop this host, if it is one and names it.
pub(super) fn stop_of_this_host(host: &Host, verb: &str, payload: &[u8]) -> Option<StopHost> {
    let stop: StopHost = serde_json::from_slice(payload).ok().filter(|_| verb == "host.stop")?;
    (stop.host_id == host.id().to_string()).then_some(stop)
}

fn stop_host(host: &Host, stop: &StopHost) -> Ack {
    if stop.host_id == host.id().to_string() {
        Ack::ack("stopping")
    } else {
        Ack::error(format!("this is host {}, not {}", host.id(), stop.host_id))
    }
}

fn scale_component(host: &Host, scale: ScaleComponent) -> Ack {
    let running = scale.component_id.parse::<ActorId>().ok().filter(|id| host.actor_slot(*id).is_ok());
    let count = scale.count as usize;
    match running {
        Some(id) if count == 0 => queue(host, move |host| async move { host.stop_actor(id, &Steps::ignore()).await }),
        Some(id) if scale.allow_update && is_elsewhere(host, id, &scale.component_ref) => {
            queue(host, move |host| async move {
                host.resize_actor(id, count)?;
                host.update_actor_from(id, &scale.component_ref, false, &Steps::ignore()).await
            })
        }
        Some(id) => match host.resize_actor(id, count) {
            Ok(()) => Ack::ack("scaled"),
            Err(error) => Ack::error(error.to_string()),
        },
        None if count == 0 => Ack::ack("not running"),
        None => queue(host, move |host| async move {
            let options = host::StartActor {
                max_in_flight: Some(count),
                annotations: scale.annotations.unwrap_or_default(),
                ..Default::default()
            };
            host.start_actor_from(&scale.component_ref, options, &Steps::ignore()).await.map(drop)
        }),
    }
}

/// Whether a running actor's module came from another place.
fn is_elsewhere(host: &Host, id: ActorId, reference: &str) -> bool {
    host.actor_slot(id).is_ok_and(|slot| slot.slot.current().reference != reference)
}

fn update_component(host: &Host, update: UpdateComponent) -> Ack {
    let id = match update.component_id.parse::<ActorId>() {
        Ok(id) if host.actor_slot(id).is_ok() => id,
        _ => return Ack::error(format!("component {} not found", update.component_id)),
    };
    queue(host, move |host| async move {
        host.update_actor_from(id, &update.new_component_ref, false, &Steps::ignore()).await
    })
}

fn start_provider(host: &Host, start: StartProvider) -> Ack {
    let id = match start.provider_id.parse() {
        Ok(id) => id,
        Err(error) => return Ack::error(format!("{error}")),
    };
    if host.provider_slot(&id).is_ok() {
        return Ack::error("provider with that ID is already running");
    }
    queue(host, move |host| async move {
        let options = host::StartProvider {
            reference: start.provider_ref,
            id: Some(id),
            annotations: start.annotations.unwrap_or_default(),
            ..Default::default()
        };
        host.start_provider(options, &Steps::ignore()).await.map(drop)
    })
}

fn stop_provider(host: &Host, stop: &StopProvider) -> Ack {
    let id = match stop.provider_id.parse() {
        Ok(id) => id,
        Err(error) => return Ack::error(format!("{error}")),
    };
    if host.provider_slot(&id).is_err() {
        return Ack::error("provider with that ID is not running");
    }
    queue(host, move |host| async move { host.stop_provider(&id, &Steps::ignore()).await })
}

async fn put_link(host: &Host, link: Link) -> Ack {
    if !link.source_config.is_empty() || !link.target_config.is_empty() {
        return Ack::error("named configurations are not supported here: put the values in with `wattle link put`");
    }
    match from_wire(&link) {
        Ok(link) => done(host.put_link(link, false).await),
        Err(message) => Ack::error(message),
    }
}

async fn delete_link(host: &Host, link: DeleteLink) -> Ack {
    let contract = contract(&link.wit_namespace, &link.wit_package);
    let is_meant = |candidate: &LinkDefinition| {
        let ends = [candidate.key.actor.to_string(), candidate.provider.to_string()];
        candidate.key.contract.as_str() == contract
            && candidate.key.link_name.as_str() == link.name
            && ends.contains(&link.source_id)
    };
    let keys: Vec<LinkKey> = host.links().iter().filter(|link| is_meant(link)).map(|link| link.key.clone()).collect();
    for key in keys {
        if let Err(error) = host.delete_link(&key).await {
            tracing::debug!(%error, "a link was deleted by somebody else");
        }
    }
    Ack::ack("deleted")
}

/// Accepts a change and carries it out in the background; its event tells how it ended.
fn queue<F>(host: &Host, change: impl FnOnce(Host) -> F) -> Ack
where
    F: Future<Output = Result<(), HostError>> + Send + 'static,
{
    let Some(place) = host.place_for_change() else {
        return Ack::error("too many changes are being carried out: try again in a moment");
    };
    let change = change(host.clone());
    host.tasks().spawn(async move {
        let _place = place;
        if let Err(error) = change.await {
            tracing::warn!(code = error.code(), %error, "a change that was asked for failed");
        }
    });
    Ack::ack("queued")
}

fn done(result: Result<(), HostError>) -> Ack {
    match result {
        Ok(()) => Ack::ack("done"),
        Err(error) => Ack::error(error.to_string()),
    }
}

fn contract(namespace: &str, package: &str) -> String {
    format!("{namespace}:{package}")
}

/// A link of ours joins an actor and a provider; which of them is the wire's source follows from who has the key `M`.
fn from_wire(link: &Link) -> Result<LinkDefinition, String> {
    let (actor, provider) = match link.source_id.parse::<ActorId>() {
        Ok(actor) => (actor, &link.target),
        Err(_) => (link.target.parse().map_err(|error| format!("{error}"))?, &link.source_id),
    };
    let contract: ContractId =
        contract(&link.wit_namespace, &link.wit_package).parse().map_err(|error| format!("{error}"))?;
    Ok(LinkDefinition {
        key: LinkKey { actor, contract, link_name: link.name.parse().map_err(|error| format!("{error}"))? },
        provider: provider.parse().map_err(|error| format!("{error}"))?,
        values: Default::default(),
    })
}

fn to_wire(link: &LinkDefinition) -> Link {
    let text = link.key.contract.as_str();
    let (namespace, package) = text.split_once(':').unwrap_or(("", text));
    Link {
        source_id: link.key.actor.to_string(),
        target: link.provider.to_string(),
        name: link.key.link_name.to_string(),
        wit_namespace: namespace.to_owned(),
        wit_package: package.to_owned(),
        interfaces: vec![package.to_owned()],
        source_config: Vec::new(),
        target_config: Vec::new(),
    }
}

fn with<T: DeserializeOwned>(payload: &[u8], work: impl FnOnce(T) -> Ack) -> Vec<u8> {
    match serde_json::from_slice(payload) {
        Ok(request) => json(&work(request)),
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &serde_json::Error) -> Vec<u8> {
    json(&Ack::error(format!("the request cannot be read: {error}")))
}

fn json<T: Serialize>(reply: &Reply<T>) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap_or_else(|error| {
        tracing::error!(%error, "a reply cannot be written as JSON");
        br#"{"success":false,"message":"internal error"}"#.to_vec()
    })
}
