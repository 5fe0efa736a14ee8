//! Rolling versions out, and back.

use std::sync::{Arc, Mutex, PoisonError};

use wattle_lattice::{
    rollout::{self, Canary, Rollout},
    spec::{Bucket, Edit, LatticeData, Target, to_bytes},
};

use super::{Failed, Operators, declaring::reference_of};
use crate::{host::SimHost, names::Quality};

impl Operators {
    pub(super) async fn roll_out(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let Some(target) = self.target() else { return Err(Failed::Refused("there is nothing to update".into())) };
        let shared = host.node.shared();
        if shared.read(|data| data.rollout(&target).is_some_and(Rollout::is_active)) {
            return Err(Failed::Refused("a rollout is under way".into()));
        }
        let from = reference_of(host, &target).ok_or_else(|| Failed::Refused("it is not declared".into()))?;
        // In a calm lattice nothing fails that need not.
        let quality = match self.chance.below(10) {
            0..=3 => Quality::Failing,
            4 => Quality::Slow,
            _ => Quality::Good,
        };
        let to = self.new_version(&target, quality);
        let mut rollout = Rollout::new(target.clone(), from, to.clone(), String::new());
        rollout.force = self.chance.happens(300);
        if matches!(target, Target::Actor(_)) && self.chance.happens(500) {
            rollout.canary = Some(Canary {
                percent: u8::try_from(5 + self.chance.below(50)).unwrap_or(10),
                watch_secs: u32::try_from(2 + self.chance.below(8)).unwrap_or(2),
                max_error_percent: 5.0,
                max_latency_factor: 10.0,
            });
        }
        let begin = |stored: Option<Rollout>| {
            let is_active = stored.is_some_and(|stored| stored.is_active());
            (!is_active).then(|| rollout.clone())
        };
        let begun = write(host, &target, begin).await?;
        begun.map(|_| format!("to {to}")).ok_or_else(|| Failed::Refused("a rollout is under way".into()))
    }

    pub(super) async fn roll_back(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let Some(target) = self.target() else { return Err(Failed::Refused("there is nothing to roll back".into())) };
        let back = |stored: Option<Rollout>| {
            let turned = stored.and_then(|stored| stored.abort("an operator turned it round"));
            turned.or_else(|| host.node.shared().read(|data| back_to_previous(data, &target)))
        };
        let back = write(host, &target, back).await?;
        let back = back.ok_or_else(|| Failed::Refused("there is nothing to go back to".into()))?;
        Ok(format!("{target} goes back to {}", back.to))
    }
}

fn back_to_previous(data: &LatticeData, target: &Target) -> Option<Rollout> {
    match target {
        Target::Actor(id) => rollout::rollback_actor(target.clone(), data.actor(id)?, String::new()),
        Target::Provider(id) => rollout::rollback_provider(target.clone(), data.provider(id)?, String::new()),
    }
}

/// Writes the rollout that `decide` makes of the one that is stored, as the host does. Returns what it made.
async fn write(
    host: &SimHost,
    target: &Target,
    decide: impl Fn(Option<Rollout>) -> Option<Rollout>,
) -> Result<Option<Rollout>, Failed> {
    let decided = Mutex::new(None);
    let edit = |current: Option<&[u8]>| {
        let next = decide(current.and_then(|bytes| serde_json::from_slice(bytes).ok()));
        decided.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&next);
        next.map_or(Ok(Edit::Unchanged), |next| to_bytes(&next).map(Edit::Write))
    };
    host.node.shared().edit(Bucket::Lattice, &target.rollout_key(), edit).await?;
    Ok(decided.into_inner().unwrap_or_else(PoisonError::into_inner))
}
