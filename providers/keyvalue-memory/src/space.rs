//! A store: shards behind locks that are held for one operation, never over an await.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use wattle_provider_sdk::{AnswerRoom, KeyValue, KeyValueError};

use crate::{budget::Budget, shard::Shard};

/// How many shards a store has: enough that two cores seldom want the same one.
const SHARDS: usize = 64;

/// A store in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStore(Arc<Space>);

#[derive(Debug)]
struct Space {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    budget: Arc<Budget>,
}

impl MemoryStore {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new(Space { shards, hasher: RandomState::new(), budget }))
    }
}

impl Space {
    fn index(&self, key: &str) -> usize {
        (self.hasher.hash_one(key) % SHARDS as u64) as usize
    }

    /// Locks the shard at `index` and drops what has expired in it.
    fn lock(&self, index: usize) -> MutexGuard<'_, Shard> {
        #[expect(clippy::indexing_slicing, reason = "`index` is a remainder of SHARDS or below it")]
        let mut shard = self.shards[index].lock().unwrap_or_else(PoisonError::into_inner);
        shard.purge(&self.budget);
        shard
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        self.lock(self.index(key))
    }

    /// Does a change that needs room. When there is none, drops what has expired in the whole store and tries again.
    fn grow<T>(
        &self,
        key: &str,
        mut change: impl FnMut(&mut Shard, &Budget) -> Result<T, KeyValueError>,
    ) -> Result<T, KeyValueError> {
        let answer = change(&mut self.shard(key), &self.budget);
        if !matches!(answer, Err(KeyValueError::Full { .. })) {
            return answer;
        }
        (0..SHARDS).for_each(|index| drop(self.lock(index)));
        change(&mut self.shard(key), &self.budget)
    }

    /// Combines the sets at `keys`, each taken once, as they are at one moment; an empty set is `None`. Shards are
    /// locked in their order, so that two of these never wait for each other.
    fn combine(&self, keys: &[String], combine: Combination) -> Result<Vec<String>, KeyValueError> {
        let keys: BTreeSet<&String> = keys.iter().collect();
        let indices: BTreeSet<usize> = keys.iter().map(|key| self.index(key)).collect();
        let shards: BTreeMap<usize, MutexGuard<'_, Shard>> =
            indices.into_iter().map(|index| (index, self.lock(index))).collect();
        let mut sets = Vec::with_capacity(keys.len());
        for key in keys {
            let shard = shards.get(&self.index(key));
            sets.push(shard.map(|shard| shard.set(key)).transpose()?.flatten());
        }
        combine(&sets)
    }
}

/// What is left of several sets.
type Combination = fn(&[Option<&BTreeSet<String>>]) -> Result<Vec<String>, KeyValueError>;

/// Returns what any set has. The items known to be in it are never more than an answer holds.
fn union(sets: &[Option<&BTreeSet<String>>]) -> Result<Vec<String>, KeyValueError> {
    let mut known = HashSet::new();
    answer(sets.iter().flatten().copied().flatten().filter(|item| known.insert(*item)))
}

/// Returns what all sets have. Only the items of the smallest are looked up in the others: no more lookups than the
/// sets together have items.
fn intersection(sets: &[Option<&BTreeSet<String>>]) -> Result<Vec<String>, KeyValueError> {
    let smallest = sets.iter().min_by_key(|set| set.map_or(0, BTreeSet::len)).copied().flatten();
    let in_all = |item: &&String| sets.iter().flatten().all(|set| set.contains(*item));
    answer(smallest.into_iter().flatten().filter(in_all))
}

/// Copies the items of an answer, if they fit one.
fn answer<'i>(items: impl IntoIterator<Item = &'i String>) -> Result<Vec<String>, KeyValueError> {
    let mut room = AnswerRoom::default();
    items.into_iter().map(|item| room.copy(item)).collect()
}

impl KeyValue for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<String>, KeyValueError> {
        Ok(self.0.shard(key).text(key)?.map(Into::into))
    }

    async fn set(&self, key: &str, mut value: String, expiry: Option<Duration>) -> Result<(), KeyValueError> {
        // An expiry too far off to represent is never.
        let expires = expiry.and_then(|expiry| Instant::now().checked_add(expiry));
        self.0.grow(key, |shard, budget| shard.put(key, &mut value, expires, budget))
    }

    async fn increment(&self, key: &str, by: i64) -> Result<i64, KeyValueError> {
        self.0.grow(key, |shard, budget| shard.increment(key, by, budget))
    }

    async fn delete(&self, key: &str) -> Result<bool, KeyValueError> {
        Ok(self.0.shard(key).remove(key, &self.0.budget))
    }

    async fn contains(&self, key: &str) -> Result<bool, KeyValueError> {
        Ok(self.0.shard(key).contains(key))
    }

    async fn list_push(&self, key: &str, mut value: String) -> Result<u64, KeyValueError> {
        self.0.grow(key, |shard, budget| shard.push(key, &mut value, budget)).map(|length| length as u64)
    }

    async fn list_remove(&self, key: &str, value: &str) -> Result<u64, KeyValueError> {
        self.0.shard(key).list_remove(key, value, &self.0.budget).map(|removed| removed as u64)
    }

    async fn list_range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<String>, KeyValueError> {
        let shard = self.0.shard(key);
        let Some(items) = shard.list(key)? else { return Ok(Vec::new()) };
        let (skip, take) = wattle_provider_sdk::list_window(items.len() as u64, start, stop);
        answer(items.iter().skip(skip as usize).take(take as usize))
    }

    async fn set_add(&self, key: &str, mut value: String) -> Result<bool, KeyValueError> {
        self.0.grow(key, |shard, budget| shard.add(key, &mut value, budget))
    }

    async fn set_remove(&self, key: &str, value: &str) -> Result<bool, KeyValueError> {
        self.0.shard(key).set_remove(key, value, &self.0.budget)
    }

    async fn set_members(&self, key: &str) -> Result<Vec<String>, KeyValueError> {
        answer(self.0.shard(key).set(key)?.into_iter().flatten())
    }

    async fn set_union(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        self.0.combine(keys, union)
    }

    async fn set_intersection(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        self.0.combine(keys, intersection)
    }
}
