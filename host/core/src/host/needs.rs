//! What needs what: a change that would break calls is refused unless somebody insists, and what needs it is named.

use std::sync::Arc;

use serde_json::json;
use wattle_lattice::spec::LatticeData;
use wattle_types::{ContractId, LinkDefinition, LinkKey, ProviderId};

use super::Host;
use crate::{actor::ActorFacts, configs::ConfigError, error::HostError};

/// Users that a message names; of more, how many there are.
const NAMED_MAX: usize = 4;

impl Host {
    /// Refuses a version of an actor that does not claim what its links need, unless by `force`. What the version that
    /// runs, if one does, does not claim either, is no worse than before.
    pub(super) fn check_links_claimed(
        &self,
        running: Option<&ActorFacts>,
        new: &ActorFacts,
        force: bool,
    ) -> Result<(), HostError> {
        let is_dropped =
            |contract: &str| !new.claims(contract) && running.is_none_or(|running| running.claims(contract));
        let dropped = self.first_link(|link| link.key.actor == new.id && is_dropped(link.key.contract.as_str()));
        match dropped {
            Some(link) if !force => Err(HostError::ClaimDropped {
                link: link.key.clone(),
                provider: link.provider.clone(),
                claimed: new.claimed(),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses a version of a provider that does not serve what it is linked for, as `old` did, unless by `force`.
    pub(super) fn check_links_served(
        &self,
        id: &ProviderId,
        old: Option<&[ContractId]>,
        new: &[ContractId],
        force: bool,
    ) -> Result<(), HostError> {
        let was_served = |contract: &ContractId| old.is_none_or(|old| old.contains(contract));
        let is_dropped = |contract: &ContractId| !new.contains(contract) && was_served(contract);
        match self.first_link(|link| link.provider == *id && is_dropped(&link.key.contract)) {
            Some(link) if !force => {
                let served = new.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(HostError::ContractDropped { provider: id.clone(), link: link.key.clone(), served })
            }
            _ => Ok(()),
        }
    }

    /// Refuses that a provider ends here while running actors are linked to it, and no other host runs it.
    pub(crate) fn check_unneeded(&self, id: &ProviderId) -> Result<(), HostError> {
        let me = self.id();
        let is_elsewhere =
            self.node().is_some_and(|node| node.directory().provider_hosts(id).iter().any(|host| *host != me));
        if is_elsewhere { Ok(()) } else { self.check_unlinked(id) }
    }

    /// Refuses that a provider ends while running actors are linked to it.
    pub(super) fn check_unlinked(&self, id: &ProviderId) -> Result<(), HostError> {
        let needing = self.state().links.of_provider(id).into_iter().filter(|link| self.runs_somewhere(&link.key));
        match named(needing.map(|link| describe(&link.key)).collect()) {
            Some(users) => Err(HostError::ProviderInUse { provider: id.clone(), users }),
            None => Ok(()),
        }
    }

    /// Forgets a named configuration; while something uses it, only by `force`.
    ///
    /// # Errors
    /// [`ConfigError::InUse`], or why the store does not do it.
    pub(crate) async fn delete_config(&self, name: &str, force: bool) -> Result<(), ConfigError> {
        let users = self.node().and_then(|node| node.shared().read(|data| named(users_of(data, name))));
        if let Some(users) = users.filter(|_| !force) {
            return Err(ConfigError::InUse { name: name.to_owned(), users });
        }
        self.configs().delete(name).await?;
        self.events_sink().announce("config_deleted", json!({ "config_name": name }));
        Ok(())
    }

    fn runs_somewhere(&self, key: &LinkKey) -> bool {
        let runs_here = self.state().actors.get(&key.actor).is_some();
        runs_here || self.node().is_some_and(|node| !node.directory().actor_hosts(&key.actor).is_empty())
    }

    fn first_link(&self, is_meant: impl Fn(&LinkDefinition) -> bool) -> Option<Arc<LinkDefinition>> {
        self.state().links.all().find(|link| is_meant(link)).cloned()
    }
}

/// Lists what uses a configuration: links, of other kinds too, and declared providers.
fn users_of(data: &LatticeData, name: &str) -> Vec<String> {
    let links = data.links_on_wire().into_iter();
    let links = links.filter(|link| link.source_config.iter().chain(&link.target_config).any(|config| config == name));
    let links = links.map(|link| {
        let (source, target) = (link.source_id, link.target);
        format!("link {:?} of {source} to {target} for {}:{}", link.name, link.wit_namespace, link.wit_package)
    });
    let providers = data.providers().filter(|(_, declared)| declared.configs.iter().any(|config| config == name));
    links.chain(providers.map(|(id, _)| format!("declared provider {id}"))).collect()
}

fn describe(link: &LinkKey) -> String {
    format!("link {:?} of actor {} for {}", link.link_name.as_str(), link.actor, link.contract)
}

/// Names the first few; `None` if there are none.
fn named(users: Vec<String>) -> Option<String> {
    let more = users.len().saturating_sub(NAMED_MAX);
    let first = users.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join("; ");
    match (first.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first),
        (false, more) => Some(format!("{first}; and {more} more")),
    }
}
