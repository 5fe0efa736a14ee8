//! Maps whose copies share what has not changed since: one is made for each change, of ten thousand entries too.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    iter,
    sync::Arc,
};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// Parts of a map, of which a change copies one.
const SHARDS: usize = 128;

/// A map in parts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sharded<K, V>(Box<[Arc<FxHashMap<K, V>>]>);

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self(iter::repeat_with(Arc::default).take(SHARDS).collect())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Sharded<K, V> {
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(shard(key))?.get(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().flat_map(|shard| shard.values())
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if let Some(shard) = self.0.get_mut(shard(&key)) {
            Arc::make_mut(shard).insert(key, value);
        }
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        Arc::make_mut(self.0.get_mut(shard(key))?).remove(key)
    }
}

/// Returns where a key is: by bits of its hash that the maps do not look at.
fn shard<Q: Hash + ?Sized>(key: &Q) -> usize {
    let [_, _, _, _, byte, ..] = FxBuildHasher.hash_one(key).to_le_bytes();
    usize::from(byte) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut map = Sharded::default();
        for number in 0..1000 {
            map.insert(number.to_string(), number);
        }
        let copy = map.clone();
        assert_eq!(map.remove("7"), Some(7));
        assert_eq!(map.remove("7"), None);
        map.insert("8".to_owned(), 0);
        assert_eq!((map.get("7"), map.get("8"), map.values().count()), (None, Some(&0), 999));
        assert_eq!((copy.get("7"), copy.get("8"), copy.values().count()), (Some(&7), Some(&8), 1000));
    }

    #[test]
    fn a_change_copies_one_part() {
        let mut map = Sharded::default();
        for number in 0..10_000_u32 {
            map.insert(number, ());
        }
        let copy = map.clone();
        map.remove(&7);
        let shared = map.0.iter().zip(&copy.0).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
        assert_eq!(shared, SHARDS - 1);
        let largest = map.0.iter().map(|shard| shard.len()).max().unwrap();
        assert!(largest < 10_000 / SHARDS * 2, "{largest} of 10 000 in one of {SHARDS} parts");
    }
}
