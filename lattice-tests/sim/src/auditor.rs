//! Watches the shared state over a connection of its own that suffers nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use wattle_bus::{Bus as _, KvEvent, KvWatch, sim::SimBus};
use wattle_lattice::spec::{self, Bucket, Changed, Entry, LatticeData, lattice_bucket, parse};
use wattle_types::{LinkKey, ProviderId};

use crate::world::World;

/// A value of an entry.
type Value = (String, Bytes);

/// What the shared state says, and has said.
#[derive(Debug)]
pub(crate) struct Auditor {
    bus: SimBus,
    data: Mutex<LatticeData>,
    /// Every value that was ever seen.
    history: Mutex<BTreeSet<Value>>,
    end: CancellationToken,
}

impl Auditor {
    /// Begins to watch.
    pub(crate) async fn start(world: &Arc<World>) -> Arc<Self> {
        let bus = world.net.connect("auditor");
        bus.set_faults(wattle_bus::sim::Faults {
            delay: std::time::Duration::ZERO..=std::time::Duration::ZERO,
            ..Default::default()
        });
        let auditor =
            Arc::new(Self { bus, data: Mutex::default(), history: Mutex::default(), end: CancellationToken::new() });
        world.tasks.spawn(Arc::clone(&auditor).watch(Arc::clone(world), Bucket::Lattice));
        world.tasks.spawn(Arc::clone(&auditor).watch(Arc::clone(world), Bucket::Config));
        auditor
    }

    /// Looks at the shared state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&LatticeData) -> T) -> T {
        look(&self.data.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what is stored of links and declarations under a key at this moment, if the store says so.
    pub(crate) async fn stored(&self, world: &World, key: &str) -> Option<Bytes> {
        let store = self.bus.bucket(&lattice_bucket(&world.lattice)).await.ok()?;
        Some(store.get(key).await.ok()??.value)
    }

    pub(crate) fn stop(&self) {
        self.end.cancel();
        self.bus.crash();
    }

    async fn watch(self: Arc<Self>, world: Arc<World>, bucket: Bucket) {
        let name = match bucket {
            Bucket::Lattice => lattice_bucket(&world.lattice),
            Bucket::Config => spec::config_bucket(&world.lattice),
        };
        let Ok(store) = self.bus.bucket(&name).await else { return };
        let Ok(mut events): Result<KvWatch, _> = store.watch().await else { return };
        while let Some(Some(event)) = self.end.run_until_cancelled(events.next()).await {
            self.apply(&world, bucket, event);
        }
    }

    fn apply(&self, world: &World, bucket: Bucket, event: KvEvent) {
        // A host holds on to what the store has lost, and writes it back. What nobody does is not stored any more, and
        // what is stored is all that the auditor is to say.
        let event = match event {
            KvEvent::Reset { .. } => KvEvent::Reset { lost: false },
            event => event,
        };
        if let KvEvent::Put(entry) = &event {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            history.insert((entry.key.clone(), entry.value.clone()));
            drop(history);
            if bucket == Bucket::Config
                && let Some(number) = crate::requests::kept(&entry.key, &entry.value)
            {
                world.witness.kept(number, entry.revision);
            }
        }
        let changed = self.data.lock().unwrap_or_else(PoisonError::into_inner).apply(bucket, event);
        for change in changed {
            match change {
                Changed::Link(key) => {
                    let to = self.read(|data| data.link(&key).map(|link| link.definition.provider.clone()));
                    world.witness.note(&format!("link of {} for {}: {to:?}", key.actor, key.contract));
                    world.witness.link_changed(&key);
                }
                Changed::Rollout(target) => {
                    if let Some(rollout) = self.read(|data| data.rollout(&target).cloned()) {
                        world.witness.rollout(&rollout);
                    }
                }
                Changed::Poisoned { key, why } => world.witness.complain(&format!("{key} is poisoned: {why}")),
                Changed::Lease | Changed::Config(_) | Changed::Claims(_) => {}
                Changed::Declared(target) => {
                    let line = self.read(|data| match &target {
                        spec::Target::Actor(id) => data.actor(id).map(|it| (it.reference.clone(), it.replicas)),
                        spec::Target::Provider(id) => data.provider(id).map(|it| (it.reference.clone(), it.replicas)),
                    });
                    world.witness.note(&format!("declared: {target} {line:?}"));
                }
            }
        }
    }
}

/// Whether the bytes of an entry hold a link.
pub(crate) fn holds(key: &str, bytes: &[u8], link: &LinkKey, provider: &ProviderId) -> bool {
    let Entry::Component(component) = parse(Bucket::Lattice, key, bytes) else { return false };
    component.links.iter().any(|spec| spec.definition.key == *link && spec.definition.provider == *provider)
}
