//! Verbs about links, and links as the control interface writes them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::json;
use wattle_lattice::spec::{self, Bucket, Edit, LatticeData, LinkSpec};
use wattle_types::{
    ActorId, ContractId, LinkDefinition, LinkKey,
    control::{DeleteLink, Link},
};

use super::reply::{Ack, given};
use crate::{error::HostError, host::Host};

/// Longest wait for news of the store: whoever puts a link gives up after two seconds.
const HEARD_WITHIN: Duration = Duration::from_millis(500);

pub(super) fn all(host: &Host) -> Vec<Link> {
    match host.node() {
        Some(node) => node.shared().read(LatticeData::links_on_wire),
        None => host.links().iter().map(|link| LinkSpec::new((**link).clone()).to_wire()).collect(),
    }
}

pub(super) async fn put(host: &Host, link: Link) -> Ack {
    let spec = from_wire(&link)?;
    // Both ends' names must lead somewhere, though the values are for the provider alone. The store itself is asked:
    // one that was put just now, by another host perhaps, may not have been heard of here.
    let configs = host.configs();
    let found = tokio::try_join!(configs.resolve(&spec.configs), configs.resolve(&spec.actor_configs));
    found.map_err(|error| error.to_string())?;
    hear_of(host, &spec.configs).await;
    host.put_link_spec(spec, false).await.map_err(|error| error.to_string())?;
    Ok("done".into())
}

/// Waits, but not for long, until this host has heard of configurations that are there.
async fn hear_of(host: &Host, names: &[String]) {
    let Some(node) = host.node() else { return };
    let mut changes = node.shared().changes();
    let heard = async {
        while !node.shared().read(|data| names.iter().all(|name| data.config(name).is_some())) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    if tokio::time::timeout(HEARD_WITHIN, heard).await.is_err() {
        tracing::warn!("the lattice's store has configurations this host has not heard of");
    }
}

pub(super) async fn delete(host: &Host, link: DeleteLink) -> Ack {
    let contract = contract(&link.wit_namespace, &link.wit_package)?;
    let (source, name) = (given("source_id", &link.source_id)?, given("name", &link.name)?);
    let is_meant = |candidate: &LinkDefinition| {
        let ends = [candidate.key.actor.to_string(), candidate.provider.to_string()];
        candidate.key.contract == contract
            && candidate.key.link_name.as_str() == name
            && ends.iter().any(|end| end == source)
    };
    let keys: Vec<LinkKey> = host.links().iter().filter(|link| is_meant(link)).map(|link| link.key.clone()).collect();
    for key in keys {
        if let Err(error) = host.delete_link(&key).await {
            tracing::debug!(%error, "a link was deleted by somebody else");
        }
    }
    delete_stored(host, source, name, &link).await.map_err(|error| error.to_string())?;
    Ok("deleted".into())
}

/// Takes what is left out of the store itself: links this host has not heard of yet, and those of other kinds.
async fn delete_stored(host: &Host, source: &str, name: &str, link: &DeleteLink) -> Result<(), HostError> {
    let Some(node) = host.node() else { return Ok(()) };
    let is_found = AtomicBool::new(false);
    let edit = |current: Option<&[u8]>| {
        let edit = spec::delete_wire(current, name, &link.wit_namespace, &link.wit_package)?;
        is_found.fetch_or(edit != Edit::Unchanged, Ordering::Relaxed);
        Ok(edit)
    };
    node.shared().edit(Bucket::Lattice, &spec::component_key(source), edit).await?;
    if is_found.into_inner() {
        host.sync_links().await?;
        let event = json!({
            "source_id": source, "name": name, "wit_namespace": link.wit_namespace, "wit_package": link.wit_package,
            "interfaces": [],
        });
        host.events_sink().announce("linkdef_deleted", event);
    }
    Ok(())
}

/// A link of ours joins an actor and a provider; which of them is the wire's source follows from who has the key `M`.
fn from_wire(link: &Link) -> Result<LinkSpec, String> {
    let (source, target) = (given("source_id", &link.source_id)?, given("target", &link.target)?);
    let (actor, provider, provider_is_source) = match source.parse::<ActorId>() {
        Ok(actor) => (actor, target, false),
        Err(_) => {
            let actor = target.parse();
            let actor = actor.map_err(|_| "one end of a link must be an actor: the key (M...) of its module")?;
            (actor, source, true)
        }
    };
    let name = given("name", &link.name)?;
    let definition = LinkDefinition {
        key: LinkKey {
            actor,
            contract: contract(&link.wit_namespace, &link.wit_package)?,
            link_name: name.parse().map_err(|error| format!("name: {error}"))?,
        },
        provider: provider.parse().map_err(|error| format!("{error}"))?,
        values: Default::default(),
    };
    let (mut configs, mut actor_configs) = (link.target_config.clone(), link.source_config.clone());
    if provider_is_source {
        std::mem::swap(&mut configs, &mut actor_configs);
    }
    Ok(LinkSpec {
        configs,
        actor_configs,
        interfaces: link.interfaces.clone(),
        provider_is_source,
        ..LinkSpec::new(definition)
    })
}

fn contract(namespace: &str, package: &str) -> Result<ContractId, String> {
    let (namespace, package) = (given("wit_namespace", namespace)?, given("wit_package", package)?);
    format!("{namespace}:{package}").parse().map_err(|error| format!("wit_namespace and wit_package: {error}"))
}
