//! A put of one link leaves the others of its actor as they are, also where the store has lost them.

use std::time::Duration;

use tokio::time::Instant;
use wattle_lattice::spec::LinkSpec;
use wattle_types::{LinkKey, ProviderId};

use super::Operators;
use crate::auditor::holds;

/// How long nobody must have wished for a link so that all that was ever sent about it has arrived.
const QUIET: Duration = Duration::from_secs(20);

impl Operators {
    /// Returns the links in the same entry of which every host knows the same, for long.
    pub(super) fn others(&self, link: &LinkSpec) -> Vec<(LinkKey, ProviderId)> {
        let (hosts, entry) = (self.world.hosts(), link.entry_key());
        let known = |key: &LinkKey| {
            let mut of_hosts = hosts.iter().map(|host| {
                host.node.shared().read(|data| {
                    let is_there = data.entries_of(key) == [entry.clone()];
                    data.link(key).filter(|_| is_there).map(|link| link.definition.provider.clone())
                })
            });
            let first = of_hosts.next()??;
            of_hosts.all(|other| other.as_ref() == Some(&first)).then_some(first)
        };
        let keys = crate::names::links().into_iter().filter(|key| *key != link.definition.key);
        let known = keys.filter_map(|key| known(&key).map(|provider| (key, provider)));
        known.filter(|(key, provider)| self.linking.is_quiet(key, Some(provider), Instant::now() - QUIET)).collect()
    }

    /// Complains about links that a put has taken away.
    pub(super) async fn check_kept(&self, link: &LinkSpec, others: &[(LinkKey, ProviderId)], begun: Instant) {
        let entry = link.entry_key();
        let Some(value) = self.auditor.stored(&self.world, &entry).await else { return };
        for (key, provider) in others {
            self.world.witness.count("links beside one that was put");
            let is_kept = holds(&entry, &value, key, provider);
            if !is_kept && self.linking.is_quiet(key, Some(provider), begun) {
                let (actor, contract, put) = (key.actor, &key.contract, &link.definition.key.contract);
                self.world.witness.complain(&format!(
                    "a put of {actor}'s link for {put} took others away: that for {contract} to {provider}"
                ));
            }
        }
    }
}
