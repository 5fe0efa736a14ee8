//! Verbs about links, and links as the control interface writes them.

use wattle_types::{
    ActorId, ContractId, LinkDefinition, LinkKey,
    control::{DeleteLink, Link},
};

use super::reply::{Ack, given};
use crate::host::Host;

pub(super) fn all(host: &Host) -> Vec<Link> {
    host.links().iter().map(|link| to_wire(link)).collect()
}

pub(super) async fn put(host: &Host, link: Link) -> Ack {
    let (mut definition, provider_config) = from_wire(&link)?;
    let configs = host.configs();
    // Both ends' names must lead somewhere; the values are for the provider, whichever end it is.
    let of_source = configs.resolve(&link.source_config).await.map_err(|error| error.to_string())?;
    let of_target = configs.resolve(&link.target_config).await.map_err(|error| error.to_string())?;
    definition.values = match provider_config {
        End::Source => of_source,
        End::Target => of_target,
    };
    host.put_link(definition, false).await.map_err(|error| error.to_string())?;
    Ok("done".into())
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
    Ok("deleted".into())
}

/// Which end of a link on the wire is the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Target,
}

/// A link of ours joins an actor and a provider; which of them is the wire's source follows from who has the key `M`.
fn from_wire(link: &Link) -> Result<(LinkDefinition, End), String> {
    let (source, target) = (given("source_id", &link.source_id)?, given("target", &link.target)?);
    let (actor, provider, end) = match source.parse::<ActorId>() {
        Ok(actor) => (actor, target, End::Target),
        Err(_) => {
            let actor = target.parse();
            let actor = actor.map_err(|_| "one end of a link must be an actor: the key (M...) of its module")?;
            (actor, source, End::Source)
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
    Ok((definition, end))
}

fn contract(namespace: &str, package: &str) -> Result<ContractId, String> {
    let (namespace, package) = (given("wit_namespace", namespace)?, given("wit_package", package)?);
    format!("{namespace}:{package}").parse().map_err(|error| format!("wit_namespace and wit_package: {error}"))
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
