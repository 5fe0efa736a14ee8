//! Rollouts: a version that was seen to fail is not what remains.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;
use wattle_lattice::rollout::{Phase, Rollout};
use wattle_types::HostId;

use super::Witness;
use crate::names::{Quality, Version};

/// Calls of a new version, all of them failing, after which nobody may go on with it; in this time after it began.
const EVIDENCE: (usize, Duration) = (60, Duration::from_millis(2000));

#[derive(Debug)]
struct Trial {
    begun: Instant,
    calls: usize,
}

#[derive(Debug, Default)]
pub(super) struct Rollouts {
    trials: BTreeMap<(HostId, String), Trial>,
    condemned: BTreeSet<String>,
}

impl Witness {
    /// Takes in that a version begins to take calls on a host.
    pub(crate) fn version_begins(&self, host: HostId, reference: &str) {
        let trial = Trial { begun: Instant::now(), calls: 0 };
        self.seen().rollouts.trials.insert((host, reference.to_owned()), trial);
    }

    /// Takes in that a version took a call on a host.
    pub(crate) fn version_called(&self, host: HostId, reference: &str) {
        if quality(reference) != Some(Quality::Failing) {
            return;
        }
        let mut seen = self.seen();
        let Some(trial) = seen.rollouts.trials.get_mut(&(host, reference.to_owned())) else { return };
        trial.calls += 1;
        if trial.calls >= EVIDENCE.0 && trial.begun.elapsed() <= EVIDENCE.1 {
            seen.rollouts.condemned.insert(reference.to_owned());
        }
    }

    /// Takes in what the shared state says of a rollout.
    pub(crate) fn rollout(&self, rollout: &Rollout) {
        let mut seen = self.seen();
        seen.log.add(&format!("rollout of {} to {}: {:?}", rollout.target, rollout.to, rollout.phase));
        let was_well = quality(&rollout.from) != Some(Quality::Failing);
        match rollout.phase {
            Phase::Done if was_well && seen.rollouts.condemned.contains(&rollout.to) => {
                seen.complain(&format!("the rollout of {} to {} is done, and it fails", rollout.target, rollout.to));
            }
            Phase::Done => seen.count("rollouts done"),
            Phase::RolledBack => seen.count("rollouts rolled back"),
            _ => {}
        }
    }
}

fn quality(reference: &str) -> Option<Quality> {
    Version::parse(reference).map(|version| version.quality)
}
