//! From what people type to the one host or actor they mean.

use wattle_types::{
    ActorId, HostId,
    control::{ActorDescription, Host},
};

use super::{Client, no_hosts};
use crate::{
    error::{CliError, Kind},
    spelling,
};

impl Client {
    /// Returns the host meant by an id, unique prefix or name, or the only one.
    pub(crate) async fn host(&self, wanted: Option<&str>) -> Result<HostId, CliError> {
        if let Some(id) = wanted.and_then(|wanted| wanted.parse().ok()) {
            return Ok(id);
        }
        self.host_among(wanted).await
    }

    /// Returns the host meant, if it answers: for work that may be waited for long, in vain if it is not there.
    pub(crate) async fn host_that_answers(&self, wanted: &str) -> Result<HostId, CliError> {
        self.host_among(Some(wanted)).await
    }

    async fn host_among(&self, wanted: Option<&str>) -> Result<HostId, CliError> {
        let hosts = self.hosts().await?;
        if hosts.is_empty() {
            return Err(no_hosts(self.lattice()));
        }
        Ok(host_in(&hosts, wanted)?.id.parse()?)
    }

    /// Returns the host meant, or the first that answers: for what every host of the lattice can do.
    pub(crate) async fn any_host(&self, wanted: Option<&str>) -> Result<HostId, CliError> {
        if wanted.is_some() {
            return self.host(wanted).await;
        }
        let first = self.first_hosts(1).await?.into_iter().next();
        Ok(first.ok_or_else(|| no_hosts(self.lattice()))?.id.parse()?)
    }

    /// Returns the id of the actor meant by an id, unique prefix, call alias or name; on one host, or in the lattice.
    pub(crate) async fn actor(&self, host: Option<&HostId>, wanted: &str) -> Result<ActorId, CliError> {
        if let Ok(id) = wanted.parse() {
            return Ok(id);
        }
        match host {
            Some(host) => {
                let inventory = self.inventory(host).await?;
                let actors: Vec<_> = inventory.components.iter().map(Candidate::from).collect();
                actor_in(&actors, wanted, "runs on this host")
            }
            None => self.fleet().await?.actor(wanted),
        }
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
                .hint(format!("choose with --host: {}", list(several)))
                .hint("to have the lattice choose, and choose again when a host goes: wattle scale"))
        }
        (several, Some(wanted)) => {
            let message = format!("{wanted:?} means {} hosts", several.len());
            Err(CliError::new(Kind::Usage, "host_ambiguous", message)
                .hint(format!("give more of the id: {}", list(several))))
        }
    }
}

/// An actor that may be meant.
pub(super) struct Candidate<'a> {
    /// Its key.
    pub(super) id: &'a str,
    /// What whoever started it calls it, or its key again.
    pub(super) chosen: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) alias: Option<&'a str>,
}

impl<'a> From<&'a ActorDescription> for Candidate<'a> {
    fn from(actor: &'a ActorDescription) -> Self {
        let alias = actor.wattle.as_ref().and_then(|details| details.call_alias.as_deref());
        Self { id: actor.actor(), chosen: Some(&actor.id), name: actor.name.as_deref(), alias }
    }
}

impl Candidate<'_> {
    fn names(&self) -> Vec<&str> {
        [self.name, self.alias, self.chosen].into_iter().flatten().collect()
    }
}

/// Chooses an actor by id, unique prefix, call alias or name. `place` says what is common to these actors.
pub(super) fn actor_in(actors: &[Candidate<'_>], wanted: &str, place: &str) -> Result<ActorId, CliError> {
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let found = matching(actors, wanted, |actor| actor.id, Candidate::names);
    let list = |actors: &[&Candidate<'_>]| {
        actors
            .iter()
            .map(|actor| format!("{} ({})", actor.name.unwrap_or("unnamed"), actor.chosen.unwrap_or(actor.id)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match found.as_slice() {
        [actor] => Ok(actor.id.parse()?),
        [] => {
            let mut error = CliError::new(Kind::Refused, "actor_not_found", format!("no actor {wanted:?} {place}"));
            if actors.is_empty() {
                return Err(error.hint("start it: wattle start actor MODULE.wasm"));
            }
            if let Some(name) = spelling::nearest(wanted, actors.iter().flat_map(Candidate::names)) {
                error = error.hint(format!("did you mean {name}?"));
            }
            Err(error.hint(format!("these do: {}", list(&actors.iter().collect::<Vec<_>>()))))
        }
        several => {
            let message = format!("{wanted:?} means {} actors", several.len());
            Err(CliError::new(Kind::Usage, "actor_ambiguous", message).hint(format!("give the id: {}", list(several))))
        }
    }
}

/// An exact id or name beats every prefix.
fn matching<'i, 'a, T>(
    items: &'i [T],
    wanted: &str,
    id: impl Fn(&'i T) -> &'a str,
    names: impl Fn(&'i T) -> Vec<&'a str>,
) -> Vec<&'i T> {
    let exact: Vec<_> = items
        .iter()
        .filter(|item| id(item) == wanted || names(item).iter().any(|name| name.eq_ignore_ascii_case(wanted)))
        .collect();
    if !exact.is_empty() || wanted.is_empty() {
        return exact;
    }
    items.iter().filter(|item| id(item).starts_with(wanted)).collect()
}
