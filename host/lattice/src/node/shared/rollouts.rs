//! Beginning rollouts, and turning them round.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Shared, SharedError};
use crate::{
    rollout::{self, Rollout},
    spec::{Bucket, Edit, Entry, Target, parse, to_bytes},
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
        let (is_made, key) = (AtomicBool::new(false), target.rollout_key());
        let edit = |current: Option<&[u8]>| {
            // One that is broken holds nobody up: no host carries it out.
            let stored = current.map(|bytes| parse(Bucket::Lattice, &key, bytes));
            let next = decide(if let Some(Entry::Rollout(stored)) = &stored { Some(stored) } else { None });
            is_made.store(next.is_some(), Ordering::Relaxed);
            next.map_or(Ok(Edit::Unchanged), |next| to_bytes(&next).map(Edit::Write))
        };
        self.edit(Bucket::Lattice, &key, edit).await?;
        Ok(is_made.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::{sync::CancellationToken, task::TaskTracker};
    use wattle_bus::{Bus as _, Expect, MemoryBus};

    use super::*;
    use crate::{
        fixtures::actor,
        rollout::Canary,
        spec::{DeclaredActor, Spread, component_key, lattice_bucket},
    };

    async fn open(bus: &MemoryBus) -> Shared {
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        Shared::open(bus, &"default".parse().unwrap(), &tasks, &end).await.unwrap()
    }

    fn trying(percent: u8) -> Rollout {
        let canary = Canary { percent, watch_secs: 1, max_error_percent: 1.0, max_latency_factor: 2.0 };
        let rollout = Rollout::new(Target::Actor(actor(1)), "v1".into(), "v2".into(), "today".into());
        Rollout { canary: Some(canary), ..rollout }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rollout_no_host_would_carry_out_is_not_begun_and_holds_no_other_up() {
        let bus = MemoryBus::new();
        let shared = open(&bus).await;
        for percent in [0, 101, 200] {
            let error = shared.begin_rollout(&trying(percent)).await.unwrap_err();
            assert_eq!(error.code(), "entry_invalid");
        }
        let (store, key) =
            (bus.bucket(&lattice_bucket(&"default".parse().unwrap())).await.unwrap(), trying(1).target.rollout_key());
        assert_eq!(store.get(&key).await.unwrap(), None);
        // An older host has written one.
        store.put(&key, to_bytes(&trying(200)).unwrap(), Expect::Absent).await.unwrap();
        assert_eq!(shared.roll_back(&trying(1).target, "today").await, Ok(false));
        assert_eq!(shared.begin_rollout(&trying(100)).await, Ok(true));
        assert_eq!(shared.begin_rollout(&trying(100)).await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_host_would_read_is_not_written() {
        let shared = open(&MemoryBus::new()).await;
        let (declared, links) = (Target::Actor(actor(1)).declared_key(), component_key("kv"));
        let group = Spread { name: None, labels: Default::default(), weight: 1 };
        let spread = DeclaredActor { reference: "v1".into(), spread: vec![group; 65], ..DeclaredActor::default() };
        let long = serde_json::json!({ "links": ["x".repeat(1024 * 1024)] });
        for (key, value) in [(&declared, to_bytes(&spread).unwrap()), (&links, to_bytes(&long).unwrap())] {
            let written = shared.edit(Bucket::Lattice, key, |_| Ok(Edit::Write(value.clone()))).await;
            assert_eq!(written.unwrap_err().code(), "entry_invalid", "{key}");
            assert_eq!(shared.store(Bucket::Lattice).get(key).await.unwrap(), None);
        }
    }
}
