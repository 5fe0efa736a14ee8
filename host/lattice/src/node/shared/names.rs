//! Giving names to actors.

use wattle_bus::Expect;
use wattle_types::{ActorId, ActorName};

use super::{Shared, SharedError};
use crate::spec::{Bucket, Edit, Entry, Named, name_key, parse, to_bytes};

impl Shared {
    /// Has an actor go by a name from now on, and by no other. Whether it may is for the caller to know.
    ///
    /// # Errors
    /// [`SharedError`] when it cannot be written.
    pub async fn name_actor(&self, name: &ActorName, actor: ActorId) -> Result<(), SharedError> {
        let key = name_key(name);
        let edit = |current: Option<&[u8]>| match current.map(|bytes| parse(Bucket::Lattice, &key, bytes)) {
            Some(Entry::Name(_, named)) if named.actor == actor => Ok(Edit::Unchanged),
            _ => to_bytes(&Named { actor, extra: Default::default() }).map(Edit::Write),
        };
        self.edit(Bucket::Lattice, &key, edit).await?;
        self.forget_former_names(name, actor).await
    }

    async fn forget_former_names(&self, name: &ActorName, actor: ActorId) -> Result<(), SharedError> {
        let revision = |key: &str| self.read(|data| data.revision_of(Bucket::Lattice, key));
        let given = revision(&name_key(name));
        let former =
            self.read(|data| data.names_of(&actor).filter(|other| *other != name).cloned().collect::<Vec<_>>());
        for other in former {
            let key = name_key(&other);
            // Of two that are given at once, the later one stays.
            let Some(known) = revision(&key).filter(|known| Some(*known) < given) else { continue };
            self.store(Bucket::Lattice).delete(&key, Expect::Revision(known)).await?;
            self.until(|data| data.actor_named(other.as_str()) != Some(actor)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::{sync::CancellationToken, task::TaskTracker};
    use wattle_bus::MemoryBus;

    use super::*;
    use crate::fixtures::actor;

    #[tokio::test(start_paused = true)]
    async fn an_actor_has_the_name_it_was_given_last_and_no_other() {
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        let shared = Shared::open(&MemoryBus::new(), &"default".parse().unwrap(), &tasks, &end).await.unwrap();
        let name = |text: &str| text.parse::<ActorName>().unwrap();
        for (given, to) in [("one", 1), ("one", 1), ("two", 1), ("two", 2), ("one", 1)] {
            shared.name_actor(&name(given), actor(to)).await.unwrap();
            let (who, called) = shared.read(|data| (data.actor_named(given), data.name_of(&actor(to)).cloned()));
            assert_eq!((who, called), (Some(actor(to)), Some(name(given))));
            assert_eq!(shared.read(|data| data.names_of(&actor(to)).count()), 1);
        }
    }
}
