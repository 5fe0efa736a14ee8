//! wasmCloud's control interface v1: one JSON request, at most one JSON reply.
//!
//! Acknowledgements say what was accepted, not what was done; how it ended is told by an event.

use super::{
    auctions, claims, components, configs, hosts, links, providers,
    reply::{ack, answer, read},
};
use crate::{host::Host, inventory};

/// Answers what every host hears; some of it with silence.
pub(super) async fn for_all(host: &Host, verb: &str, payload: &[u8]) -> Option<Vec<u8>> {
    match verb {
        "host.ping" => Some(answer(Ok(inventory::describe_host(host)))),
        "component.auction" => match read(payload) {
            Ok(auction) => auctions::component(host, auction).await.map(|bid| answer(Ok(bid))),
            Err(message) => Some(ack(Err(message))),
        },
        "provider.auction" => match read(payload) {
            Ok(auction) => auctions::provider(host, auction).await.map(|bid| answer(Ok(bid))),
            Err(message) => Some(ack(Err(message))),
        },
        "registry.put" => Some(ack(hosts::put_registries(host, payload))),
        _ => Some(unsupported()),
    }
}

/// Answers what one host of the lattice hears.
pub(super) async fn for_one_of_all(host: &Host, verb: &str, payload: &[u8]) -> Vec<u8> {
    if let Some(verb) = verb.strip_prefix(configs::PREFIX) {
        return configs::answer(host, verb, payload).await;
    }
    match verb {
        "claims.get" => answer(Ok(claims::all(host))),
        "link.get" => answer(Ok(links::all(host))),
        "link.put" => ack(match read(payload) {
            Ok(link) => links::put(host, link).await,
            Err(message) => Err(message),
        }),
        "link.del" => ack(match read(payload) {
            Ok(link) => links::delete(host, link).await,
            Err(message) => Err(message),
        }),
        _ => unsupported(),
    }
}

/// Answers what only this host hears.
pub(super) async fn for_this_host(host: &Host, verb: &str, payload: &[u8]) -> Vec<u8> {
    ack(match verb {
        "host.get" => return answer(Ok(host.inventory())),
        // Any host tells them; one that is asked by name is one that answers.
        "claims.get" => return answer(Ok(claims::all(host))),
        "host.stop" => read(payload).and_then(|stop| hosts::stop(host, &stop)),
        "label.put" => read(payload).and_then(|label| hosts::put_label(host, &label)),
        "label.del" => read(payload).and_then(|label| hosts::delete_label(host, &label)),
        "component.update" => read(payload).and_then(|update| components::update(host, &update)),
        "provider.stop" => read(payload).and_then(|stop| providers::stop(host, &stop)),
        "component.scale" => match read(payload) {
            Ok(scale) => components::scale(host, scale).await,
            Err(message) => Err(message),
        },
        "provider.start" => match read(payload) {
            Ok(start) => providers::start(host, start).await,
            Err(message) => Err(message),
        },
        _ => return unsupported(),
    })
}

fn unsupported() -> Vec<u8> {
    ack(Err("unsupported subject".into()))
}
