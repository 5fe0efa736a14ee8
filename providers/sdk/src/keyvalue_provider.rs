//! Makes a provider of a key-value back end: links, shared stores, dialects, deadlines and live swap.

mod stores;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, future::Future, marker::PhantomData, pin::pin, sync::Arc, task::Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use stores::{OpenStore, Stores};
use wattle_types::{
    BoxFuture, ContractId, Deadline, Handover, LinkDefinition, LinkKey, Provider, ProviderCall, ProviderContext,
    ProviderError, ProviderFactory,
};

use crate::{Dialect, KEYVALUE, KeyValue, Settings, handle_keyvalue};

/// Most links one provider takes. Each costs under a kilobyte and, at most, one open store.
const LINKS_MAX: usize = 10_000;

/// One kind of key-value back end: all it adds to its [`KeyValue`] is how a store is configured and opened.
pub trait KeyValueKind: Sized + Send + Sync + 'static {
    /// The store.
    type Store: KeyValue;

    /// Names of settings that a provider may have.
    const PROVIDER_SETTINGS: &'static [&'static str];

    /// Names of settings that a link may have, each in front of the provider's of the same name.
    const LINK_SETTINGS: &'static [&'static str];

    /// Makes what all stores of one provider share. `predecessor` is that of the generation being replaced, which
    /// goes on being used until the swap is done.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for values it cannot use.
    fn create(settings: &Settings, predecessor: Option<Arc<Self>>) -> Result<Self, ProviderError>;

    /// Opens the store that a link's settings (over the provider's) name. Links with equal settings share one store;
    /// it is closed when the last of them is gone.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for values it cannot use, [`ProviderError::BackendUnavailable`] when what they
    /// name cannot be reached. Must not take longer than a few seconds to say so.
    fn open(&self, settings: &Settings) -> impl Future<Output = Result<Self::Store, ProviderError>> + Send;
}

/// Makes key-value providers of kind `K`.
pub struct KeyValueFactory<K>(PhantomData<fn() -> K>);

impl<K> Default for KeyValueFactory<K> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<K> std::fmt::Debug for KeyValueFactory<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyValueFactory")
    }
}

impl<K: KeyValueKind> ProviderFactory for KeyValueFactory<K> {
    fn create(
        &self,
        context: ProviderContext,
        predecessor: Option<Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async move {
            let inherited = predecessor.and_then(Handover::take::<Inheritance<K>>);
            let (kind, stores) = inherited.map(|Inheritance { kind, stores }| (kind, stores)).unzip();
            let settings = Settings::parse(&context.config, K::PROVIDER_SETTINGS)?;
            let provider = KeyValueProvider {
                contracts: KEYVALUE.ids(),
                kind: Arc::new(K::create(&settings, kind)?),
                settings,
                stores: stores.unwrap_or_default(),
                links: ArcSwap::default(),
            };
            Ok(Arc::new(provider) as Arc<dyn Provider>)
        })
    }
}

/// What one generation leaves to the next. The stores are the same ones: no key is lost or seen twice in a swap, and
/// a file that can only be opened once stays open.
struct Inheritance<K: KeyValueKind> {
    kind: Arc<K>,
    stores: Arc<Stores<K::Store>>,
}

struct KeyValueProvider<K: KeyValueKind> {
    contracts: Vec<ContractId>,
    settings: Settings,
    kind: Arc<K>,
    stores: Arc<Stores<K::Store>>,
    links: ArcSwap<HashMap<LinkKey, Linked<K::Store>>>,
}

/// What a link means to this provider.
struct Linked<S> {
    dialect: Dialect,
    store: OpenStore<S>,
}

impl<S> Clone for Linked<S> {
    fn clone(&self) -> Self {
        Self { dialect: self.dialect, store: self.store.clone() }
    }
}

impl<K: KeyValueKind> KeyValueProvider<K> {
    async fn accept(&self, link: &LinkDefinition) -> Result<(), ProviderError> {
        let contract = &link.key.contract;
        let dialect = KEYVALUE
            .dialect(contract)
            .ok_or_else(|| ProviderError::BadConfig(format!("this provider does not serve {contract}")))?;
        let settings = self.settings.overlaid(Settings::parse(&link.values, K::LINK_SETTINGS)?);
        let store = self.stores.open(settings, &*self.kind).await?;
        let replaced = self.publish(&link.key, Some(Linked { dialect, store }))?;
        self.release(replaced).await;
        Ok(())
    }

    /// Puts `linked` in the table, or takes it out when there is none; returns what was there before.
    fn publish(
        &self,
        key: &LinkKey,
        linked: Option<Linked<K::Store>>,
    ) -> Result<Option<Linked<K::Store>>, ProviderError> {
        let before = self.links.rcu(|links| {
            let mut links = HashMap::clone(links);
            match &linked {
                Some(linked) if links.len() < LINKS_MAX || links.contains_key(key) => {
                    links.insert(key.clone(), linked.clone());
                }
                Some(_) => {}
                None => {
                    links.remove(key);
                }
            }
            links
        });
        if linked.is_some() && before.len() >= LINKS_MAX && !before.contains_key(key) {
            return Err(ProviderError::Failed(format!("a provider takes at most {LINKS_MAX} links")));
        }
        Ok(before.get(key).cloned())
    }

    async fn release(&self, linked: Option<Linked<K::Store>>) {
        if let Some(Linked { store, .. }) = linked {
            self.stores.release(store).await;
        }
    }

    fn linked(&self, key: &LinkKey) -> Result<Linked<K::Store>, ProviderError> {
        self.links.load().get(key).cloned().ok_or_else(|| {
            ProviderError::BackendUnavailable("this provider has not accepted the link yet: put it again".into())
        })
    }
}

impl<K: KeyValueKind> Provider for KeyValueProvider<K> {
    fn contracts(&self) -> &[ContractId] {
        &self.contracts
    }

    fn repeatable(&self) -> &[&'static str] {
        crate::dialect::KEYVALUE_READS
    }

    fn put_link(&self, link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move { self.accept(&link).await })
    }

    fn delete_link<'a>(&'a self, key: &'a LinkKey) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok(removed) = self.publish(key, None) {
                self.release(removed).await;
            }
        })
    }

    fn handle(&self, call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>> {
        Box::pin(async move {
            let Linked { dialect, store } = self.linked(&call.link.key)?;
            let work = handle_keyvalue(store.get(), dialect, &call.operation, &call.payload);
            within(call.context.deadline, work).await
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            let links = self.links.load_full();
            let mut asked: Vec<&OpenStore<K::Store>> = Vec::new();
            for Linked { store, .. } in links.values() {
                if !asked.iter().any(|known| known.is(store)) {
                    store.get().ping().await?;
                    asked.push(store);
                }
            }
            Ok(())
        })
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover::new(Inheritance { kind: Arc::clone(&self.kind), stores: Arc::clone(&self.stores) }))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let links = self.links.swap(Arc::default());
            // Nobody calls any more, so this is the last owner of the table.
            for (_, linked) in Arc::into_inner(links).unwrap_or_default() {
                self.release(Some(linked)).await;
            }
        })
    }
}

/// Does `work` until `deadline`. Work that is ready at once, as with a store in memory, costs no timer.
async fn within(
    deadline: Deadline,
    work: impl Future<Output = Result<Bytes, ProviderError>>,
) -> Result<Bytes, ProviderError> {
    let mut work = pin!(work);
    if let Poll::Ready(answer) = futures::poll!(work.as_mut()) {
        return answer;
    }
    tokio::time::timeout_at(deadline.instant().into(), work).await.unwrap_or(Err(ProviderError::DeadlineExceeded))
}
