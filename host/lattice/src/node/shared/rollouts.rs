//! Beginning rollouts, and turning them round.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Shared, SharedError};
use crate::{
    rollout::{self, Rollout},
    spec::{Bucket, Edit, Target, to_bytes},
};

impl Shared {
    /// Begins a rollout, which whoever leads then carries out. Returns whether it has begun: not while another one of
    /// its target goes on.
    ///
    /// # Errors
    /// [`SharedError`] when it cannot be written.
    pub async fn begin_rollout(&self, rollout: &Rollout) -> Result<bool, SharedError> {
        self.edit_rollout(&rollout.target, |stored| rollout::begin(stored, rollout)).await
    }

    /// Turns the rollout of a target round, or begins one to what ran before. Returns whether there was such a thing.
    /// `started` is for people.
    ///
    /// # Errors
    /// [`SharedError`] when it cannot be written.
    pub async fn roll_back(&self, target: &Target, started: &str) -> Result<bool, SharedError> {
        self.edit_rollout(target, |stored| {
            self.read(|data| rollout::back(target, stored, data.declared(target), started.to_owned()))
        })
        .await
    }

    /// Writes the rollout that `decide` makes of the one that is stored, whatever others write meanwhile. Returns
    /// whether it made one.
    async fn edit_rollout(
        &self,
        target: &Target,
        decide: impl Fn(Option<&Rollout>) -> Option<Rollout>,
    ) -> Result<bool, SharedError> {
        let is_made = AtomicBool::new(false);
        let edit = |current: Option<&[u8]>| {
            let stored = current.and_then(|bytes| serde_json::from_slice(bytes).ok());
            let next = decide(stored.as_ref());
            is_made.store(next.is_some(), Ordering::Relaxed);
            next.map_or(Ok(Edit::Unchanged), |next| to_bytes(&next).map(Edit::Write))
        };
        self.edit(Bucket::Lattice, &target.rollout_key(), edit).await?;
        Ok(is_made.load(Ordering::Relaxed))
    }
}
