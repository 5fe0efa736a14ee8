//! Links, shared stores and deadlines, with a store that notes what happens to it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use wattle_types::{CallContext, LinkName};

use super::*;
use crate::scripted::Scripted;

/// Opens the one [`Scripted`] store, unless the settings say `fail`.
#[derive(Default)]
struct Kind(Scripted);

impl KeyValueKind for Kind {
    type Store = Scripted;

    const PROVIDER_SETTINGS: &'static [&'static str] = &["name", "fail"];
    const LINK_SETTINGS: &'static [&'static str] = &["name", "fail"];

    fn create(_settings: &Settings, predecessor: Option<Arc<Self>>) -> Result<Self, ProviderError> {
        Ok(Self(predecessor.map(|kind| kind.0.clone()).unwrap_or_default()))
    }

    async fn open(&self, settings: &Settings) -> Result<Scripted, ProviderError> {
        // Gives others a chance to open the same at the same time.
        tokio::task::yield_now().await;
        if settings.get("fail").is_some() {
            return Err(ProviderError::BackendUnavailable("down".into()));
        }
        self.0.note(format!("open {}", settings.get("name").unwrap_or("-")));
        Ok(self.0.clone())
    }
}

fn provider() -> KeyValueProvider<Kind> {
    KeyValueProvider {
        contracts: KEYVALUE.ids(),
        settings: Settings::default(),
        kind: Arc::default(),
        stores: Arc::default(),
        links: ArcSwap::default(),
    }
}

fn link(name: &str, values: &[(&str, &str)]) -> Arc<LinkDefinition> {
    let values: BTreeMap<_, _> = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Arc::new(LinkDefinition {
        key: LinkKey {
            actor: "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP".parse().unwrap(),
            contract: "wasmcloud:keyvalue".parse().unwrap(),
            link_name: name.parse::<LinkName>().unwrap(),
        },
        provider: "kv".parse().unwrap(),
        values,
    })
}

fn get(link: &Arc<LinkDefinition>, key: &str, wait: Duration) -> ProviderCall {
    ProviderCall {
        link: Arc::clone(link),
        operation: "KeyValue.Get".into(),
        payload: crate::codec::encode(key).unwrap(),
        context: CallContext::new(Deadline::after(Instant::now(), wait)),
    }
}

#[tokio::test]
async fn equal_settings_open_one_store_which_the_last_link_closes() {
    let provider = provider();
    let (a, b, c) = (link("a", &[("name", "x")]), link("b", &[("NAME", "x")]), link("c", &[("name", "y")]));
    let puts = futures::future::join_all([&a, &b, &c, &a].map(|link| provider.put_link(Arc::clone(link)))).await;
    assert!(puts.iter().all(Result::is_ok));
    let mut opened = provider.kind.0.calls();
    opened.sort();
    assert_eq!(opened, ["open x", "open y"]);
    provider.delete_link(&a.key).await;
    provider.delete_link(&a.key).await;
    assert!(provider.kind.0.calls().is_empty(), "b still uses it");
    provider.delete_link(&b.key).await;
    assert_eq!(provider.kind.0.calls(), ["close"]);
    provider.shutdown().await;
    assert_eq!(provider.kind.0.calls(), ["close"]);
}

#[tokio::test]
async fn new_values_replace_the_store_and_bad_ones_leave_it() {
    let provider = provider();
    provider.put_link(link("a", &[("name", "x")])).await.unwrap();
    assert_eq!(provider.put_link(link("a", &[("fail", "")])).await.unwrap_err().code(), "backend_unavailable");
    provider.handle(get(&link("a", &[]), "k", Duration::MAX)).await.unwrap();
    provider.put_link(link("a", &[("name", "y")])).await.unwrap();
    assert_eq!(provider.kind.0.calls(), ["open x", "get k", "open y", "close"]);
}

#[tokio::test]
async fn a_store_in_use_is_not_closed_under_the_call() {
    let provider = provider();
    let a = link("a", &[]);
    provider.put_link(Arc::clone(&a)).await.unwrap();
    let mut call = provider.handle(get(&a, "stuck", Duration::from_secs(3600)));
    assert!(futures::poll!(&mut call).is_pending());
    provider.delete_link(&a.key).await;
    assert_eq!(provider.kind.0.calls(), ["open -", "get stuck"], "the call still has it");
    drop(call);
    provider.put_link(a).await.unwrap();
    assert_eq!(provider.kind.0.calls(), ["open -"], "the old one was let go of");
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    let provider = provider();
    let a = link("a", &[]);
    provider.put_link(Arc::clone(&a)).await.unwrap();
    let answer = provider.handle(get(&a, "stuck", Duration::from_secs(5))).await;
    assert_eq!(answer, Err(ProviderError::DeadlineExceeded));
    let late = provider.handle(get(&a, "k", Duration::ZERO)).await;
    assert!(late.is_ok(), "what is ready at once is not thrown away");
}

#[tokio::test]
async fn a_store_is_closed_once_by_the_last_generation() {
    let old = provider();
    let a = link("a", &[]);
    old.put_link(Arc::clone(&a)).await.unwrap();
    let Inheritance { kind, stores } = old.handover().and_then(Handover::take::<Inheritance<Kind>>).unwrap();
    let new = KeyValueProvider { kind, stores, ..provider() };
    new.put_link(Arc::clone(&a)).await.unwrap();
    old.shutdown().await;
    new.handle(get(&a, "k", Duration::MAX)).await.unwrap();
    new.shutdown().await;
    assert_eq!(new.kind.0.calls(), ["open -", "get k", "close"]);
}

#[tokio::test]
async fn places_of_closed_stores_are_forgotten() {
    let provider = provider();
    for n in 0..100 {
        let link = link("a", &[("name", &n.to_string())]);
        provider.put_link(link).await.unwrap();
    }
    assert!(provider.stores.len() <= 3, "{} places for one link", provider.stores.len());
}

#[tokio::test]
async fn links_are_bounded() {
    let provider = provider();
    let store = provider.stores.open(Settings::default(), &*provider.kind).await.unwrap();
    let linked = Linked { dialect: Dialect::Wascc, store };
    let full = (0..LINKS_MAX).map(|n| (link(&n.to_string(), &[]).key.clone(), linked.clone())).collect();
    provider.links.store(Arc::new(full));
    let error = provider.put_link(link("one-more", &[])).await.unwrap_err();
    assert!(error.to_string().contains("at most 10000 links"), "{error}");
    provider.put_link(link("7", &[])).await.expect("a link it has can be changed");
}
