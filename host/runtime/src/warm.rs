//! Sandboxes that have served, look like new, and wait for their next call.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::{sandbox::Sandbox, slots::Slots};

/// How long a sandbox waits for a call before it is dropped.
const IDLE_LIFE: Duration = Duration::from_secs(10);

/// Idle sandboxes of all modules. Each thread mostly meets those it used itself, so that threads do not wait for each
/// other, and memory stays in the cache of its core.
pub(crate) struct Warm {
    shards: Box<[Padded]>,
    most_per_shard: usize,
}

/// A shard in cache lines of its own: threads would wait for each other's writes to a line they share.
#[derive(Default)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// Idle sandboxes by module, those used last at the end.
#[derive(Default)]
struct Shard {
    idle: FxHashMap<u64, Vec<Idle>>,
    count: usize,
}

struct Idle {
    sandbox: Sandbox,
    since: Instant,
}

impl Warm {
    /// Makes room for `most` idle sandboxes.
    pub(crate) fn new(most: u32) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most_per_shard = (most as usize).div_ceil(shards);
        Self { shards: (0..shards).map(|_| Padded::default()).collect(), most_per_shard }
    }

    /// Takes a sandbox of a module.
    pub(crate) fn take(&self, module: u64) -> Option<Sandbox> {
        let mut shard = self.shard()?;
        let idle = shard.idle.get_mut(&module)?.pop()?;
        shard.count -= 1;
        Some(idle.sandbox)
    }

    /// Keeps a sandbox that looks like new, in the place of the one idle for longest if there are too many. Drops it if
    /// somebody waits for its slot.
    pub(crate) fn put(&self, module: u64, sandbox: Sandbox, slots: &Slots, now: Instant) {
        let Some(mut shard) = self.shard() else { return };
        // Asked while the shard is locked: who waits has said so before he looks here for one to evict.
        if slots.are_wanted() {
            drop(shard);
            return drop(sandbox);
        }
        shard.idle.entry(module).or_default().push(Idle { sandbox, since: now });
        shard.count += 1;
        let evicted = if shard.count > self.most_per_shard { shard.evict() } else { None };
        drop(shard);
        drop(evicted);
    }

    /// Drops one sandbox, for its slot.
    pub(crate) fn evict(&self) {
        let evicted = self.shards.iter().find_map(|shard| lock(shard).evict());
        drop(evicted);
    }

    /// Drops the sandboxes that have waited too long.
    pub(crate) fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            let old = lock(shard).remove(|idle| now.saturating_duration_since(idle.since) > IDLE_LIFE);
            // Nobody misses their pages: no call came for so long.
            old.into_iter().for_each(|mut idle| idle.sandbox.give_back());
        }
    }

    /// Drops the sandboxes of a module that is gone.
    pub(crate) fn forget(&self, module: u64) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let its = shard.idle.remove(&module).unwrap_or_default();
            shard.count -= its.len();
            drop(shard);
            drop(its);
        }
    }

    #[cfg(test)]
    pub(crate) fn count(&self, module: u64) -> usize {
        self.shards.iter().map(|shard| lock(shard).idle.get(&module).map_or(0, Vec::len)).sum()
    }

    fn shard(&self) -> Option<MutexGuard<'_, Shard>> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static HERE: usize = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        let here = HERE.with(|here| *here);
        self.shards.get(here % self.shards.len()).map(lock)
    }
}

impl Shard {
    /// Takes the sandbox that is idle for longest.
    fn evict(&mut self) -> Option<Idle> {
        let oldest = self.idle.iter().filter_map(|(id, idle)| Some((idle.first()?.since, *id)));
        let (_, id) = oldest.min()?;
        let idle = self.idle.get_mut(&id)?;
        let evicted = idle.remove(0);
        if idle.is_empty() {
            self.idle.remove(&id);
        }
        self.count -= 1;
        Some(evicted)
    }

    /// Takes all sandboxes that fit. They are dropped by the caller, when nobody waits for this shard.
    fn remove(&mut self, fits: impl Fn(&Idle) -> bool) -> Vec<Idle> {
        let mut removed = Vec::new();
        self.idle.retain(|_, idle| {
            removed.extend(idle.extract_if(.., |idle| fits(idle)));
            !idle.is_empty()
        });
        self.count -= removed.len();
        removed
    }
}

fn lock(shard: &Padded) -> MutexGuard<'_, Shard> {
    // Nothing panics while it is locked; what lies in it is whole anyway.
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}
