//! All hosts of a lattice, and what they run.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use wattle_types::{
    ActorId, HostId, ProviderId,
    control::{Host, HostInventory},
};

use super::{
    Client, no_hosts,
    resolve::{Candidate, actor_in},
};
use crate::error::CliError;

/// Hosts asked at once for what they run.
const ASKED_AT_ONCE: usize = 32;

/// How long one of several hosts may take to tell what it runs; it has just answered a ping.
const INVENTORY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the hosts of a lattice run, by the hosts' names and ids.
pub(crate) struct Fleet {
    hosts: Vec<HostInventory>,
}

impl Client {
    /// Asks all hosts what they run. One that goes meanwhile is left out.
    pub(crate) async fn fleet(&self) -> Result<Fleet, CliError> {
        let mut hosts = Vec::new();
        for (_, inventory) in self.inventories(self.hosts().await?).await? {
            hosts.extend(inventory);
        }
        if hosts.is_empty() { Err(no_hosts(self.lattice())) } else { Ok(Fleet { hosts }) }
    }

    /// Asks hosts what they run; `None` is one that has gone.
    pub(crate) async fn inventories(&self, hosts: Vec<Host>) -> Result<Vec<(Host, Option<HostInventory>)>, CliError> {
        let client = &self.with_timeout(self.timeout.min(INVENTORY_TIMEOUT));
        let asked = stream::iter(hosts).map(|host| async move {
            let inventory = client.inventory(&host.id.parse()?).await.ok();
            Ok((host, inventory))
        });
        // In order, so that lists stay sorted.
        asked.buffered(ASKED_AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
    }
}

impl Fleet {
    /// Returns what each host runs.
    pub(crate) fn inventories(&self) -> &[HostInventory] {
        &self.hosts
    }

    /// Returns the id of the actor meant by an id, unique prefix, call alias or name.
    pub(crate) fn actor(&self, wanted: &str) -> Result<ActorId, CliError> {
        if let Ok(id) = wanted.parse() {
            return Ok(id);
        }
        let mut actors: Vec<_> = self.hosts.iter().flat_map(|host| &host.components).map(Candidate::from).collect();
        actors.sort_by(|left, right| left.id.cmp(right.id));
        actors.dedup_by(|left, right| left.id == right.id);
        actor_in(&actors, wanted, "runs in this lattice")
    }

    /// Returns the hosts that run an actor.
    pub(crate) fn running_actor(&self, actor: &ActorId) -> Vec<&HostInventory> {
        let id = actor.to_string();
        self.hosts.iter().filter(|host| host.components.iter().any(|running| running.actor() == id)).collect()
    }

    /// Returns the hosts that run a provider.
    pub(crate) fn running_provider(&self, provider: &ProviderId) -> Vec<&HostInventory> {
        let id = provider.as_str();
        self.hosts.iter().filter(|host| host.providers.iter().any(|running| running.id == id)).collect()
    }

    /// Returns some host of the lattice.
    pub(crate) fn any(&self) -> Result<HostId, CliError> {
        let first = self.hosts.first().ok_or_else(|| CliError::internal("a fleet without hosts"))?;
        Ok(first.host_id.parse()?)
    }

    /// Writes the names of hosts instead of their ids.
    pub(crate) fn with_names(&self, text: &str) -> String {
        let named = |text: String, host: &HostInventory| text.replace(&host.host_id, &host.friendly_name);
        self.hosts.iter().fold(text.to_owned(), named)
    }
}

/// Names hosts for people.
pub(crate) fn list(hosts: &[&HostInventory]) -> String {
    let names = hosts.iter().map(|host| format!("{} ({})", host.friendly_name, host.host_id));
    names.collect::<Vec<_>>().join(", ")
}
