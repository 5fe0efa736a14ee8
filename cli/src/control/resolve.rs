//! From what people type to the one host or actor they mean.

use wattle_types::{
    ActorId, HostId,
    control::{ActorDescription, Host, HostInventory},
};

use super::{Client, no_hosts};
use crate::error::{CliError, Kind};

impl Client {
    /// Returns the host meant by an id, unique prefix or name, or the only one.
    pub(crate) async fn host(&self, wanted: Option<&str>) -> Result<HostId, CliError> {
        if let Some(id) = wanted.and_then(|wanted| wanted.parse().ok()) {
            return Ok(id);
        }
        let hosts = self.hosts().await?;
        if hosts.is_empty() {
            return Err(no_hosts(self.lattice()));
        }
        Ok(host_in(&hosts, wanted)?.id.parse()?)
    }

    /// Returns the id of the actor meant by an id, unique prefix, call alias or name.
    pub(crate) async fn actor(&self, host: &HostId, wanted: &str) -> Result<ActorId, CliError> {
        if let Ok(id) = wanted.parse() {
            return Ok(id);
        }
        Ok(actor_in(&self.inventory(host).await?, wanted)?.id.parse()?)
    }
}

/// Chooses a host by id, unique prefix or name; the only one if none is wanted.
fn host_in<'a>(hosts: &'a [Host], wanted: Option<&str>) -> Result<&'a Host, CliError> {
    let matching = match wanted {
        None => hosts.iter().collect(),
        Some(wanted) => matching(hosts, wanted, |host| &host.id, |host| vec![&host.friendly_name]),
    };
    let list = |hosts: &[&Host]| {
        hosts.iter().map(|host| format!("{} ({})", host.friendly_name, host.id)).collect::<Vec<_>>().join(", ")
    };
    match (matching.as_slice(), wanted) {
        ([host], _) => Ok(host),
        ([], _) => {
            let message = format!("no host is called {:?}", wanted.unwrap_or_default());
            let all = list(&hosts.iter().collect::<Vec<_>>());
            Err(CliError::new(Kind::Refused, "host_not_found", message).hint(format!("these answer: {all}")))
        }
        (several, None) => {
            let message = format!("{} hosts answer: which one is meant?", several.len());
            Err(CliError::new(Kind::Usage, "host_ambiguous", message)
                .hint(format!("choose with --host: {}", list(several))))
        }
        (several, Some(wanted)) => {
            let message = format!("{wanted:?} means {} hosts", several.len());
            Err(CliError::new(Kind::Usage, "host_ambiguous", message)
                .hint(format!("give more of the id: {}", list(several))))
        }
    }
}

/// Chooses an actor by id, unique prefix, call alias or name.
fn actor_in<'a>(inventory: &'a HostInventory, wanted: &str) -> Result<&'a ActorDescription, CliError> {
    let names = |actor: &'a ActorDescription| {
        let alias = actor.wattle.as_ref().and_then(|details| details.call_alias.as_ref());
        actor.name.iter().chain(alias).map(String::as_str).collect()
    };
    let found = matching(&inventory.components, wanted, |actor| &actor.id, names);
    let list = |actors: &[&ActorDescription]| {
        let name = |actor: &ActorDescription| actor.name.clone().unwrap_or_else(|| "unnamed".into());
        actors.iter().map(|actor| format!("{} ({})", name(actor), actor.id)).collect::<Vec<_>>().join(", ")
    };
    match found.as_slice() {
        [actor] => Ok(actor),
        [] => {
            let error =
                CliError::new(Kind::Refused, "actor_not_found", format!("no actor {wanted:?} runs on this host"));
            Err(if inventory.components.is_empty() {
                error.hint("start it: wattle start actor MODULE.wasm")
            } else {
                error.hint(format!("these run: {}", list(&inventory.components.iter().collect::<Vec<_>>())))
            })
        }
        several => {
            let message = format!("{wanted:?} means {} actors", several.len());
            Err(CliError::new(Kind::Usage, "actor_ambiguous", message).hint(format!("give the id: {}", list(several))))
        }
    }
}

/// An exact id or name beats every prefix.
fn matching<'a, T>(
    items: &'a [T],
    wanted: &str,
    id: impl Fn(&'a T) -> &'a str,
    names: impl Fn(&'a T) -> Vec<&'a str>,
) -> Vec<&'a T> {
    let exact: Vec<_> = items
        .iter()
        .filter(|item| id(item) == wanted || names(item).iter().any(|name| name.eq_ignore_ascii_case(wanted)))
        .collect();
    if !exact.is_empty() || wanted.is_empty() {
        return exact;
    }
    items.iter().filter(|item| id(item).starts_with(wanted)).collect()
}
