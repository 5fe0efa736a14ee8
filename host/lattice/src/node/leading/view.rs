//! What a leader sees of the hosts that a rollout is about.

use std::{collections::BTreeMap, time::Instant};

use wattle_types::{HostId, control::Measurement};

use super::super::{Node, now};
use crate::{
    directory::DirectorySnapshot,
    rollout::{Phase, Rollout, Running, View},
    spec::Target,
};

/// Whether any host has a version of an actor on trial.
pub(super) fn is_tried(directory: &DirectorySnapshot, target: &Target) -> bool {
    let Target::Actor(actor) = target else { return false };
    let beats = directory.hosts().values().map(|known| &known.beat);
    beats.filter_map(|beat| beat.actors.get(actor)).any(|running| running.trial.is_some())
}

/// What the leader sees of the hosts that run a rollout's target.
pub(super) fn view(
    node: &Node,
    rollout: &Rollout,
    declared: Option<String>,
    measured: &BTreeMap<HostId, (Instant, Measurement)>,
) -> View {
    let directory = node.directory();
    let there = directory.hosts().iter().map(|(host, known)| (*host, known.beat.incarnation));
    let hosts = directory.hosts().iter().filter_map(|(host, known)| {
        let (reference, trial) = match &rollout.target {
            Target::Actor(actor) => known.beat.actors.get(actor).map(|it| (&it.reference, it.trial.clone()))?,
            Target::Provider(provider) => (&known.beat.providers.get(provider)?.reference, None),
        };
        // What was measured before the host changed says nothing of what runs now.
        let measured = measured.get(host).filter(|(_, it)| it.reference == *reference && it.trial == trial);
        let is_provider = matches!(rollout.target, Target::Provider(_));
        let running = Running {
            reference: reference.clone(),
            trial,
            old: measured.and_then(|(_, measured)| measured.old).unwrap_or_default(),
            new: measured.map(|(_, measured)| measured.new).unwrap_or_default(),
            measured: measured.map(|(asked, _)| *asked).or_else(|| is_provider.then(now)),
            is_draining: known.beat.draining,
        };
        Some((*host, running))
    });
    View { declared, hosts: hosts.collect(), there: there.collect() }
}

/// Hosts whose versions are to be measured: those a rollout is at, or chooses from. Providers are not.
pub(super) fn asked_hosts(rollout: &Rollout, view: &View) -> Vec<HostId> {
    match (&rollout.target, rollout.phase) {
        (Target::Provider(_), _) => Vec::new(),
        (_, Phase::Canary { host } | Phase::Updating { host }) => vec![host],
        _ => view.hosts.keys().copied().collect(),
    }
}
