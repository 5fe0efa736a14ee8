//! The conformance suites, on paused time, and what only this back end promises.
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

use std::{collections::BTreeMap, time::Duration};

use wattle_keyvalue_memory::{Memory, MemoryFactory, MemoryStore};
use wattle_provider_sdk::{KeyValue, KeyValueError, KeyValueKind, Settings};
use wattle_provider_testkit::{ProviderSubject, StoreSubject};
use wattle_types::ProviderFactory;

struct Subject(MemoryStore);

impl StoreSubject for Subject {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.0
    }

    async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}

#[derive(Default)]
struct Kind(MemoryFactory);

impl ProviderSubject for Kind {
    fn factory(&self) -> &dyn ProviderFactory {
        &self.0
    }

    fn config(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("max_bytes".into(), "1000000".into())])
    }

    fn values(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("NAMESPACE".into(), "test".into())])
    }
}

async fn open(settings: &[(&str, &str)]) -> MemoryStore {
    let values = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let settings = Settings::parse(&values, Memory::PROVIDER_SETTINGS).unwrap();
    Memory::create(&settings, None).unwrap().open(&settings).await.unwrap()
}

async fn subject() -> Subject {
    Subject(open(&[]).await)
}

async fn kind() -> Kind {
    Kind::default()
}

mod store {
    wattle_provider_testkit::keyvalue_store_suite!(super::subject, tokio::test(start_paused = true));
}

mod provider {
    wattle_provider_testkit::keyvalue_provider_suite!(super::kind, tokio::test);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_count_on_one_key_lose_nothing() {
    let store = open(&[]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..500 {
                store.increment("n", 1).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.increment("n", 0).await, Ok(64 * 500));
}

#[tokio::test]
async fn a_full_store_refuses_growth_and_nothing_else() {
    let store = open(&[("max_entries", "2")]).await;
    store.set("a", "1".into(), None).await.unwrap();
    store.list_push("b", "1".into()).await.unwrap();
    let full = KeyValueError::Full { limit: "max_entries=2".into() };
    assert_eq!(store.set("c", "1".into(), None).await, Err(full.clone()));
    assert_eq!(store.increment("c", 1).await, Err(full.clone()));
    assert_eq!(store.set_add("c", "1".into()).await, Err(full.clone()));
    assert_eq!(store.list_push("c", "1".into()).await, Err(full));
    store.set("a", "2".into(), None).await.unwrap();
    store.increment("a", 1).await.unwrap();
    store.list_push("b", "2".into()).await.unwrap();
    store.delete("a").await.unwrap();
    store.set("c", "1".into(), None).await.unwrap();
}

#[tokio::test]
async fn bytes_are_counted_in_and_out() {
    let store = open(&[("max_bytes", "10000")]).await;
    let big = "x".repeat(4000);
    for _ in 0..100 {
        store.set("text", big.clone(), None).await.unwrap();
        store.list_push("list", big.clone()).await.unwrap();
        let full = store.set_add("set", big.clone()).await.unwrap_err();
        assert_eq!(full.code(), "store_full");
        assert!(!store.contains("set").await.unwrap(), "a refused set leaves no trace");
        store.list_remove("list", &big).await.unwrap();
        store.set_add("set", big.clone()).await.unwrap();
        store.set_remove("set", &big).await.unwrap();
        store.delete("text").await.unwrap();
    }
    assert_eq!(store.set("text", "x".repeat(10_000), None).await.unwrap_err().code(), "store_full");
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_makes_room() {
    let store = open(&[("max_entries", "100")]).await;
    for n in 0..100 {
        store.set(&format!("old{n}"), "x".into(), Some(Duration::from_secs(1))).await.unwrap();
    }
    assert!(store.set("new", "x".into(), None).await.is_err());
    tokio::time::advance(Duration::from_secs(2)).await;
    for n in 0..100 {
        store.set(&format!("new{n}"), "x".into(), None).await.unwrap();
    }
}

#[tokio::test]
async fn namespaces_are_apart_and_share_the_budget() {
    let values = BTreeMap::from([("max_entries".to_owned(), "1".to_owned())]);
    let settings = Settings::parse(&values, Memory::PROVIDER_SETTINGS).unwrap();
    let memory = Memory::create(&settings, None).unwrap();
    let named =
        |name: &str| Settings::parse(&BTreeMap::from([("namespace".into(), name.into())]), Memory::LINK_SETTINGS);
    let (a, b) = (memory.open(&named("a").unwrap()).await.unwrap(), memory.open(&named("b").unwrap()).await.unwrap());
    a.set("key", "a".into(), None).await.unwrap();
    assert_eq!(b.get("key").await, Ok(None));
    assert_eq!(b.set("key", "b".into(), None).await.unwrap_err().code(), "store_full");
    let again = memory.open(&named("a").unwrap()).await.unwrap();
    assert_eq!(again.get("key").await, Ok(Some("a".into())));
}
