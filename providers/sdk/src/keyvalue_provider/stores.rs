//! The open stores of a provider and its successors: one for each distinct set of settings.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Mutex as AsyncMutex;
use wattle_types::ProviderError;

use super::KeyValueKind;
use crate::{KeyValue, Settings};

/// Holds stores weakly: links own them.
pub(super) struct Stores<S> {
    places: Mutex<HashMap<Settings, Arc<Place<S>>>>,
}

/// Where the store of one set of settings is. Whoever opens or closes it holds the lock, so that a file is never
/// opened while it is being closed.
type Place<S> = AsyncMutex<Weak<S>>;

/// A share in an open store.
pub(super) struct OpenStore<S> {
    store: Arc<S>,
    place: Arc<Place<S>>,
}

impl<S> Clone for OpenStore<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), place: Arc::clone(&self.place) }
    }
}

impl<S> OpenStore<S> {
    pub(super) fn get(&self) -> &S {
        &self.store
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }
}

impl<S> Default for Stores<S> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

impl<S: KeyValue> Stores<S> {
    /// Returns the open store for `settings`, opening it if there is none. One that is open already must work: what a
    /// link is told to be good, or a generation hands to the next, is.
    pub(super) async fn open<K>(&self, settings: Settings, kind: &K) -> Result<OpenStore<S>, ProviderError>
    where
        K: KeyValueKind<Store = S>,
    {
        let place = self.place(&settings);
        let mut current = place.lock().await;
        let store = match current.upgrade() {
            Some(store) => {
                store.ping().await?;
                store
            }
            None => Arc::new(kind.open(&settings).await?),
        };
        *current = Arc::downgrade(&store);
        drop(current);
        Ok(OpenStore { store, place })
    }

    /// Gives a share back. Closes the store if it was the last one and no call is using it; otherwise the last call
    /// drops it.
    pub(super) async fn release(&self, open: OpenStore<S>) {
        let OpenStore { store, place } = open;
        let _closing = place.lock().await;
        if let Some(store) = Arc::into_inner(store) {
            store.close().await;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn place(&self, settings: &Settings) -> Arc<Place<S>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // A place nobody else holds has no store: links hold their store's place.
        places.retain(|known, place| known == settings || Arc::strong_count(place) > 1);
        Arc::clone(places.entry(settings.clone()).or_insert_with(|| Arc::new(AsyncMutex::new(Weak::new()))))
    }
}
