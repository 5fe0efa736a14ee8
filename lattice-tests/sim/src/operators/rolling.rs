//! Rolling versions out, and back.

use std::sync::Arc;

use wattle_lattice::{
    rollout::{self, Canary, Rollout},
    spec::{Bucket, Edit, Target, to_bytes},
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
        write(host, &rollout).await?;
        Ok(format!("to {to}"))
    }

    pub(super) async fn roll_back(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let Some(target) = self.target() else { return Err(Failed::Refused("there is nothing to roll back".into())) };
        let back = host.node.shared().read(|data| {
            let turned = data.rollout(&target).and_then(|rollout| rollout.abort("an operator turned it round"));
            turned.or_else(|| match &target {
                Target::Actor(id) => {
                    data.actor(id).and_then(|actor| rollout::rollback_actor(target.clone(), actor, String::new()))
                }
                Target::Provider(id) => data
                    .provider(id)
                    .and_then(|provider| rollout::rollback_provider(target.clone(), provider, String::new())),
            })
        });
        let back = back.ok_or_else(|| Failed::Refused("there is nothing to go back to".into()))?;
        write(host, &back).await?;
        Ok(format!("{target} goes back to {}", back.to))
    }
}

/// Writes a rollout as the host does.
async fn write(host: &SimHost, rollout: &Rollout) -> Result<(), Failed> {
    let edit = |_: Option<&[u8]>| to_bytes(rollout).map(Edit::Write);
    Ok(host.node.shared().edit(Bucket::Lattice, &rollout.target.rollout_key(), edit).await?)
}
