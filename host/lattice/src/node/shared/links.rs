//! Putting and deleting links, wherever they are stored.

use std::collections::BTreeSet;

use wattle_bus::KvError;
use wattle_types::{LinkDefinition, LinkKey};

use super::{APPLIED_TIMEOUT, Shared, SharedError, has};
use crate::spec::{self, Bucket, Edit, EditError, LinkSpec, component_key};

/// How often entries are looked for that hold a link, because others put it back meanwhile.
const ROUNDS_MAX: usize = 16;

impl Shared {
    /// Stores a link with its source, and takes it out of entries where others have put it.
    ///
    /// # Errors
    /// [`SharedError::Edit`] when it leads elsewhere and may not be replaced, or its source has too many;
    /// [`SharedError::Store`] when the store cannot be written: then it may be stored, and elsewhere still, too.
    pub async fn put_link(&self, link: &LinkSpec, replace: bool) -> Result<(), SharedError> {
        let LinkDefinition { key, provider, .. } = &link.definition;
        let elsewhere = self.read(|data| data.elsewhere(link));
        if let Some((_, existing)) = elsewhere.iter().find(|(_, other)| other != provider && !replace) {
            return Err(SharedError::Edit(EditError::Conflict {
                source_id: key.actor.to_string(),
                name: key.link_name.to_string(),
                contract: key.contract.to_string(),
                existing: existing.to_string(),
            }));
        }
        let edit = |current: Option<&[u8]>| spec::put_link(current, link, replace);
        self.edit(Bucket::Lattice, &link.entry_key(), edit).await?;
        for (entry, _) in elsewhere {
            self.edit(Bucket::Lattice, &entry, |current: Option<&[u8]>| self.without(current, key)).await?;
        }
        Ok(())
    }

    /// Takes a link out of every entry that holds it. Returns whether one did.
    ///
    /// The copy may be late. So the actor's own entry, where our tools put links, is looked at whatever the copy says;
    /// and once something was taken out, which brings the copy up to that moment, it is asked again where else the link
    /// is.
    ///
    /// # Errors
    /// [`SharedError::Edit`] for an entry that cannot be read; [`SharedError::Store`] when the store cannot be written,
    /// or the copy does not come up to date: the link may then still be somewhere.
    pub async fn delete_link(&self, key: &LinkKey) -> Result<bool, SharedError> {
        let mut entries = BTreeSet::from([component_key(&key.actor.to_string())]);
        let mut is_found = false;
        for _ in 0..ROUNDS_MAX {
            entries.extend(self.read(|data| data.entries_of(key)));
            let mut is_changed = false;
            for entry in std::mem::take(&mut entries) {
                is_changed |= self.take_out(&entry, key).await?;
            }
            is_found |= is_changed;
            if !is_changed {
                return Ok(is_found);
            }
        }
        Err(KvError::Conflict { key: key.actor.to_string() }.into())
    }

    /// Returns an entry without a link.
    fn without(&self, current: Option<&[u8]>, key: &LinkKey) -> Result<Edit, EditError> {
        spec::delete_link(current, key, |name| self.read(|data| data.actor_named(name)))
    }

    /// Takes a link out of one entry, and waits until the copy is not older than that. Returns whether it was in it.
    async fn take_out(&self, entry: &str, key: &LinkKey) -> Result<bool, SharedError> {
        let edit = |current: Option<&[u8]>| self.without(current, key);
        let Some(revision) = self.edit(Bucket::Lattice, entry, edit).await? else { return Ok(false) };
        if self.read(|data| has(data, Bucket::Lattice, entry, revision)) {
            return Ok(true);
        }
        Err(KvError::TimedOut { waited: APPLIED_TIMEOUT }.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use bytes::Bytes;
    use tokio_util::{sync::CancellationToken, task::TaskTracker};
    use wattle_bus::{
        Bus as _, Expect, KvEntry, KvEvent, KvStore,
        sim::{Faults, SimBus, SimNet},
    };

    use super::*;
    use crate::{
        fixtures::{actor, provider},
        spec::{Component, Entry, lattice_bucket, parse, put_link},
    };

    fn link(provider_is_source: bool) -> LinkSpec {
        let key = LinkKey {
            actor: actor(1),
            contract: "wasmcloud:keyvalue".parse().unwrap(),
            link_name: wattle_types::LinkName::default(),
        };
        let definition = LinkDefinition { key, provider: provider("kv"), values: BTreeMap::new() };
        LinkSpec { provider_is_source, ..LinkSpec::new(definition) }
    }

    fn written(link: &LinkSpec) -> Bytes {
        match put_link(None, link, false).unwrap() {
            Edit::Write(bytes) => bytes,
            Edit::Unchanged => panic!("nothing was to be written"),
        }
    }

    async fn open(bus: &SimBus) -> Shared {
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        Shared::open(bus, &"default".parse().unwrap(), &tasks, &end).await.unwrap()
    }

    /// How many links an entry of the store has.
    async fn stored(store: &dyn KvStore, link: &LinkSpec) -> usize {
        let Some(entry) = store.get(&link.entry_key()).await.unwrap() else { return 0 };
        match parse(Bucket::Lattice, &entry.key, &entry.value) {
            Entry::Component(Component { links, .. }) => links.len(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_moved_without_the_copy_knowing_is_deleted_where_it_is() {
        let net = SimNet::new(1);
        let bus = net.connect("one");
        let shared = open(&bus).await;
        let store = bus.bucket(&lattice_bucket(&"default".parse().unwrap())).await.unwrap();
        let (of_actor, of_provider) = (link(false), link(true));
        store.put(&of_actor.entry_key(), written(&of_actor), Expect::Absent).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // As it was before: the link with its provider.
        shared.apply(Bucket::Lattice, KvEvent::Delete { key: of_actor.entry_key(), revision: 1 });
        let entry = KvEntry { key: of_provider.entry_key(), value: written(&of_provider), revision: 1 };
        shared.apply(Bucket::Lattice, KvEvent::Put(entry));
        let key = &of_actor.definition.key;
        assert_eq!(shared.read(|data| data.entries_of(key)), [of_provider.entry_key()]);
        assert_eq!(shared.delete_link(key).await, Ok(true));
        assert_eq!(stored(store.as_ref(), &of_actor).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_looked_for_again_once_the_copy_is_up_to_date() {
        let net = SimNet::new(1);
        let (far, near) = (net.connect("far"), net.connect("near"));
        let store = near.bucket(&lattice_bucket(&"default".parse().unwrap())).await.unwrap();
        let (of_actor, of_provider) = (link(false), link(true));
        store.put(&of_actor.entry_key(), written(&of_actor), Expect::Absent).await.unwrap();
        let shared = open(&far).await;
        let slow = Duration::from_millis(100);
        far.set_faults(Faults { delay: slow..=slow, ..Faults::default() });
        store.put(&of_provider.entry_key(), written(&of_provider), Expect::Absent).await.unwrap();
        let key = &of_actor.definition.key;
        assert_eq!(shared.read(|data| data.entries_of(key)), [of_actor.entry_key()]);
        assert_eq!(shared.delete_link(key).await, Ok(true));
        assert_eq!([stored(store.as_ref(), &of_actor).await, stored(store.as_ref(), &of_provider).await], [0, 0]);
        assert_eq!(shared.delete_link(key).await, Ok(false));
    }
}
