//! Rolling versions out, and back.

use std::sync::Arc;

use wattle_lattice::{
    rollout::{Canary, Rollout},
    spec::Target,
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
        let is_begun = host.node.shared().begin_rollout(&rollout).await?;
        is_begun.then(|| format!("to {to}")).ok_or_else(|| Failed::Refused("a rollout is under way".into()))
    }

    pub(super) async fn roll_back(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let Some(target) = self.target() else { return Err(Failed::Refused("there is nothing to roll back".into())) };
        let is_begun = host.node.shared().roll_back(&target, "").await?;
        is_begun.then(|| target.to_string()).ok_or_else(|| Failed::Refused("there is nothing to go back to".into()))
    }
}
