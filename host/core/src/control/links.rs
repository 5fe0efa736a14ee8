//! Verbs about links, and links as the control interface writes them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::json;
use wattle_lattice::spec::{self, Bucket, Edit, LatticeData, LinkSpec};
use wattle_types::{
    ContractId, LinkDefinition, LinkKey, LinkName, ProviderId,
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
    let link = checked(link)?;
    // Both ends' names must lead somewhere, though the values are for the provider alone. The store itself is asked:
    // one that was put just now, by another host perhaps, may not have been heard of here.
    let configs = host.configs();
    let found = tokio::try_join!(configs.resolve(&link.target_config), configs.resolve(&link.source_config));
    found.map_err(|error| error.to_string())?;
    match LinkSpec::from_wire_named(&link, |name| host.actor_called(name)) {
        Some(spec) => {
            hear_of(host, &spec.configs).await;
            host.put_link_spec(spec, false).await.map_err(|error| error.to_string())?;
        }
        None => host.put_wire_link(&link).await.map_err(|error| error.to_string())?,
    }
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
    let actor = host.actor_called(source);
    let is_meant = |candidate: &LinkDefinition| {
        candidate.key.contract == contract
            && candidate.key.link_name.as_str() == name
            && (Some(candidate.key.actor) == actor || candidate.provider.as_str() == source)
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

/// Returns a link without blanks around its ids, each of which can be what it stands for. What joins an actor and a
/// provider ours call over; links of other kinds are kept for others, as are those of actors nobody knows yet.
fn checked(link: Link) -> Result<Link, String> {
    let (source_id, target) = (given("source_id", &link.source_id)?, given("target", &link.target)?);
    for (field, id) in [("source_id", source_id), ("target", target)] {
        id.parse::<ProviderId>().map_err(|error| format!("{field}: {error}"))?;
    }
    let name = given("name", &link.name)?;
    name.parse::<LinkName>().map_err(|error| format!("name: {error}"))?;
    contract(&link.wit_namespace, &link.wit_package)?;
    Ok(Link {
        source_id: source_id.to_owned(),
        target: target.to_owned(),
        name: name.to_owned(),
        wit_namespace: link.wit_namespace.trim().to_owned(),
        wit_package: link.wit_package.trim().to_owned(),
        ..link
    })
}

fn contract(namespace: &str, package: &str) -> Result<ContractId, String> {
    let (namespace, package) = (given("wit_namespace", namespace)?, given("wit_package", package)?);
    format!("{namespace}:{package}").parse().map_err(|error| format!("wit_namespace and wit_package: {error}"))
}
