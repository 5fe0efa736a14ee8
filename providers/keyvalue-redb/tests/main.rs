//! The conformance suites, and what only a file promises.
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

mod disk;
mod kill;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use wattle_keyvalue_redb::{Clock, Redb, RedbFactory, RedbStore};
use wattle_provider_sdk::{KeyValue, KeyValueKind, Settings};
use wattle_provider_testkit::{ProviderSubject, StoreSubject};
use wattle_types::{ProviderError, ProviderFactory};

/// A file of its own, and a clock that stands still until told.
struct Subject {
    store: RedbStore,
    now: Arc<AtomicU64>,
    _folder: TempDir,
}

impl StoreSubject for Subject {
    type Store = RedbStore;

    fn store(&self) -> &RedbStore {
        &self.store
    }

    async fn pass(&self, time: Duration) {
        self.now.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }
}

struct Kind {
    factory: RedbFactory,
    folder: TempDir,
}

impl ProviderSubject for Kind {
    fn factory(&self) -> &dyn ProviderFactory {
        &self.factory
    }

    fn config(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("cache_bytes".into(), "1000000".into())])
    }

    fn values(&self) -> BTreeMap<String, String> {
        let path = self.folder.path().join("folder/kv.redb");
        BTreeMap::from([("path".into(), path.to_str().unwrap().into())])
    }
}

fn clock(now: &Arc<AtomicU64>) -> Clock {
    let now = Arc::clone(now);
    Arc::new(move || now.load(Ordering::SeqCst))
}

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, 1 << 20, clock(&Arc::new(AtomicU64::new(1)))).unwrap()
}

async fn subject() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_800_000_000_000));
    let store = RedbStore::open(&folder.path().join("kv.redb"), 1 << 20, clock(&now)).unwrap();
    Subject { store, now, _folder: folder }
}

async fn kind() -> Kind {
    Kind { factory: RedbFactory::default(), folder: tempfile::tempdir().unwrap() }
}

mod store {
    wattle_provider_testkit::keyvalue_store_suite!(super::subject, tokio::test);
}

mod provider {
    wattle_provider_testkit::keyvalue_provider_suite!(super::kind, tokio::test);
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.redb");
    let store = open(&path);
    store.set("text", "t".into(), Some(Duration::from_secs(1))).await.unwrap();
    store.list_push("list", "a".into()).await.unwrap();
    store.set_add("set", "m".into()).await.unwrap();
    store.close().await;
    assert_eq!(store.increment("n", 1).await.unwrap_err().code(), "backend_unavailable");
    drop(store);

    let store = open(&path);
    assert_eq!(store.get("text").await.unwrap().as_deref(), Some("t"));
    assert_eq!(store.list_push("list", "b".into()).await.unwrap(), 2);
    assert_eq!(store.list_range("list", 0, -1).await.unwrap(), ["a", "b"]);
    assert!(!store.set_add("set", "m".into()).await.unwrap());
    store.close().await;
    drop(store);

    let later = RedbStore::open(&path, 1 << 20, clock(&Arc::new(AtomicU64::new(5000)))).unwrap();
    assert_eq!(later.get("text").await.unwrap(), None, "what expired meanwhile is gone");
}

#[tokio::test]
async fn many_expired_keys_are_dropped_over_time() {
    let subject = subject().await;
    for n in 0..600 {
        subject.store.set(&format!("k{n}"), "x".into(), Some(Duration::from_secs(1))).await.unwrap();
    }
    subject.pass(Duration::from_secs(2)).await;
    for n in 0..600 {
        assert!(!subject.store.contains(&format!("k{n}")).await.unwrap());
        assert_eq!(subject.store.increment(&format!("k{n}"), 1).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_overload_and_loses_nothing() {
    let subject = Arc::new(subject().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5000 {
        let subject = Arc::clone(&subject);
        tasks.spawn(async move { subject.store.increment("n", 1).await.map_err(|error| error.code()) });
    }
    let answers = tasks.join_all().await;
    let done = answers.iter().filter(|answer| answer.is_ok()).count() as i64;
    assert!(answers.iter().all(|answer| answer.is_ok() || *answer == Err("overloaded")));
    assert_eq!(subject.store.increment("n", 0).await, Ok(done));
}

async fn open_with(values: &[(&str, &str)]) -> Result<RedbStore, ProviderError> {
    let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Redb.open(&Settings::parse(&values, Redb::LINK_SETTINGS)?).await
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_open_elsewhere_is_refused_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.redb");
    let _first = open(&path);
    let error = open_with(&[("path", path.to_str().unwrap())]).await.unwrap_err();
    assert!(error.to_string().contains("is open already"), "{error}");
}

#[tokio::test]
async fn bad_files_and_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.redb");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(open_with(&[("path", path)]).await.unwrap_err().code(), "backend_unavailable");
    assert_eq!(open_with(&[("path", "/dev/null/kv")]).await.unwrap_err().code(), "backend_unavailable");
    assert_eq!(open_with(&[]).await.unwrap_err().code(), "config_invalid");
    assert_eq!(open_with(&[("path", path), ("cache_bytes", "lots")]).await.unwrap_err().code(), "config_invalid");
}
