//! Configuration, and what a provider and its successors share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use wattle_provider_sdk::{KeyValueFactory, KeyValueKind, Settings};
use wattle_types::ProviderError;

use crate::{
    MemoryStore,
    budget::{Budget, Cost},
};

/// Makes key-value providers that keep everything in memory.
pub type MemoryFactory = KeyValueFactory<Memory>;

/// Most namespaces of one provider; an empty one costs about 8 KiB.
const NAMESPACES_MAX: usize = 1024;

/// Bytes a provider holds unless `max_bytes` says otherwise.
const BYTES_MAX_DEFAULT: u64 = 256 << 20;

/// Keys a provider holds unless `max_entries` says otherwise.
const ENTRIES_MAX_DEFAULT: u64 = 1 << 20;

/// The kind: one store for each `namespace`, under one budget.
#[derive(Debug)]
pub struct Memory(Arc<Namespaces>);

#[derive(Debug, Default)]
struct Namespaces {
    budget: Arc<Budget>,
    stores: Mutex<HashMap<String, MemoryStore>>,
}

impl KeyValueKind for Memory {
    type Store = MemoryStore;

    const PROVIDER_SETTINGS: &'static [&'static str] = &["max_bytes", "max_entries", "namespace"];
    const LINK_SETTINGS: &'static [&'static str] = &["namespace"];

    fn create(settings: &Settings, predecessor: Option<Arc<Self>>) -> Result<Self, ProviderError> {
        let limits = Cost {
            bytes: settings.get_or("max_bytes", BYTES_MAX_DEFAULT, "a number of bytes")?,
            entries: settings.get_or("max_entries", ENTRIES_MAX_DEFAULT, "a number of keys")?,
        };
        let namespaces = predecessor.map_or_else(Arc::default, |predecessor| Arc::clone(&predecessor.0));
        namespaces.budget.limit(limits);
        Ok(Self(namespaces))
    }

    async fn open(&self, settings: &Settings) -> Result<MemoryStore, ProviderError> {
        let name = settings.get("namespace").unwrap_or_default();
        let mut stores = self.0.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(name) {
            return Ok(store.clone());
        }
        if stores.len() >= NAMESPACES_MAX {
            return Err(ProviderError::BadConfig(format!("a provider has at most {NAMESPACES_MAX} namespaces")));
        }
        let store = MemoryStore::new(Arc::clone(&self.0.budget));
        stores.insert(name.to_owned(), store.clone());
        Ok(store)
    }
}
