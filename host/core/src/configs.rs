//! Named configurations of a lattice: maps of texts, kept where all hosts find them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::OnceCell;
use wattle_bus::{Bus, Expect, KvError, KvStore};
use wattle_types::LatticeId;

/// Longest anything here may take: whoever asks gives up after two seconds, and shall be told why before.
const STORE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Largest configuration, in bytes of JSON.
const CONFIG_LEN_MAX: usize = 256 * 1024;
/// How often a write begins anew because somebody else wrote the same.
const ATTEMPTS_MAX: usize = 16;
/// Configurations that one link or provider may name.
const NAMES_MAX: usize = 64;

/// A configuration's values. They may be secret: never logged.
pub(crate) type Values = BTreeMap<String, String>;

/// Why a configuration was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no configuration of this name.
    #[error("there is no configuration {0:?}")]
    NotFound(String),
    /// Something uses the configuration.
    #[error("the configuration {name:?} is in use: {users}")]
    InUse {
        /// Its name.
        name: String,
        /// What uses it, in words.
        users: String,
    },
    /// The configuration is no map of texts, or too large, or there are too many of them.
    #[error("{0}")]
    Invalid(String),
    /// This host has no place to keep configurations.
    #[error("this host is on no lattice, which would keep configurations")]
    NoStore,
    /// The store does not do it.
    #[error(transparent)]
    Store(#[from] KvError),
}

impl ConfigError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "config_not_found",
            Self::InUse { .. } => "config_in_use",
            Self::Invalid(_) => "config_invalid",
            Self::NoStore => "kv_unavailable",
            Self::Store(error) => error.code(),
        }
    }
}

/// The configurations of the host's lattice. Opened when first needed, so that a host comes up without the store.
pub(crate) struct Configs {
    bus: Option<Arc<dyn Bus>>,
    bucket: String,
    store: OnceCell<Arc<dyn KvStore>>,
}

impl Configs {
    pub(crate) fn new(bus: Option<Arc<dyn Bus>>, lattice: &LatticeId) -> Self {
        Self { bus, bucket: format!("CONFIGDATA_{lattice}"), store: OnceCell::new() }
    }

    /// Returns what is kept under `name`.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Values>, ConfigError> {
        in_time(async {
            let entry = self.store().await?.get(name).await?;
            entry.map(|entry| read(name, &entry.value)).transpose()
        })
        .await
    }

    /// Keeps values under `name`, instead of what was there. `json` is a map of texts.
    pub(crate) async fn put(&self, name: &str, json: Bytes) -> Result<(), ConfigError> {
        if json.len() > CONFIG_LEN_MAX {
            return Err(ConfigError::Invalid(format!("a configuration has at most {CONFIG_LEN_MAX} bytes")));
        }
        read(name, &json)?;
        in_time(self.replace(name, Some(json))).await
    }

    /// Removes what is kept under `name`, if anything.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ConfigError> {
        in_time(self.replace(name, None)).await
    }

    /// Replaces what is kept, whatever it is, but not what somebody else keeps while this is under way: who gave up on
    /// it may have asked for that.
    async fn replace(&self, name: &str, json: Option<Bytes>) -> Result<(), ConfigError> {
        let store = self.store().await?;
        for _ in 0..ATTEMPTS_MAX {
            let kept = store.get(name).await?.map(|entry| Expect::Revision(entry.revision));
            let done = match (&json, kept) {
                (Some(json), kept) => store.put(name, json.clone(), kept.unwrap_or(Expect::Absent)).await.map(drop),
                (None, Some(kept)) => store.delete(name, kept).await,
                (None, None) => Ok(()),
            };
            match done {
                Err(KvError::Conflict { .. }) => {}
                done => return Ok(done?),
            }
        }
        Err(KvError::Conflict { key: name.to_owned() }.into())
    }

    /// Joins the named configurations: where two have the same key, the later one's value is taken.
    pub(crate) async fn resolve(&self, names: &[String]) -> Result<Values, ConfigError> {
        if names.len() > NAMES_MAX {
            return Err(ConfigError::Invalid(format!("at most {NAMES_MAX} configurations can be named at once")));
        }
        in_time(async {
            let mut joined = Values::new();
            for name in names {
                joined.extend(self.get(name).await?.ok_or_else(|| ConfigError::NotFound(name.clone()))?);
            }
            Ok(joined)
        })
        .await
    }

    async fn store(&self) -> Result<&Arc<dyn KvStore>, ConfigError> {
        let bus = self.bus.as_ref().ok_or(ConfigError::NoStore)?;
        Ok(self.store.get_or_try_init(|| bus.bucket(&self.bucket)).await?)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, ConfigError>>) -> Result<T, ConfigError> {
    match tokio::time::timeout(STORE_TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(KvError::TimedOut { waited: STORE_TIMEOUT }.into()),
    }
}

fn read(name: &str, json: &[u8]) -> Result<Values, ConfigError> {
    // The parser's words are left out: they quote what they read, which may be secret.
    serde_json::from_slice(json)
        .map_err(|_| ConfigError::Invalid(format!("the configuration {name:?} is no JSON map of texts")))
}

#[cfg(test)]
mod tests {
    use wattle_bus::{KvLast, KvWatch, MemoryBus};
    use wattle_types::BoxFuture;

    use super::*;

    /// A store that never answers.
    struct Stuck;

    impl KvStore for Stuck {
        fn last<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<KvLast>, KvError>> {
            Box::pin(std::future::pending())
        }

        fn put<'a>(&'a self, _: &'a str, _: Bytes, _: Expect) -> BoxFuture<'a, Result<u64, KvError>> {
            Box::pin(std::future::pending())
        }

        fn delete<'a>(&'a self, _: &'a str, _: Expect) -> BoxFuture<'a, Result<(), KvError>> {
            Box::pin(std::future::pending())
        }

        fn watch(&self) -> BoxFuture<'_, Result<KvWatch, KvError>> {
            Box::pin(std::future::pending())
        }
    }

    fn configs() -> Configs {
        Configs::new(Some(Arc::new(MemoryBus::new())), &LatticeId::default())
    }

    #[tokio::test]
    async fn a_configuration_is_kept_replaced_and_deleted() {
        let configs = configs();
        assert_eq!(configs.get("a").await, Ok(None));
        configs.put("a", r#"{"url":"1"}"#.into()).await.unwrap();
        configs.put("a", r#"{"url":"2"}"#.into()).await.unwrap();
        assert_eq!(configs.get("a").await.unwrap().unwrap()["url"], "2");
        configs.delete("a").await.unwrap();
        configs.delete("a").await.unwrap();
        assert_eq!(configs.get("a").await, Ok(None));
    }

    #[tokio::test]
    async fn named_configurations_are_joined_in_order_and_missing_ones_named() {
        let configs = configs();
        configs.put("base", r#"{"url":"1","db":"0"}"#.into()).await.unwrap();
        configs.put("over", r#"{"url":"2"}"#.into()).await.unwrap();
        let joined = configs.resolve(&["base".into(), "over".into()]).await.unwrap();
        assert_eq!(joined, BTreeMap::from([("db".into(), "0".into()), ("url".into(), "2".into())]));
        let missing = configs.resolve(&["base".into(), "gone".into()]).await.unwrap_err();
        assert_eq!(missing, ConfigError::NotFound("gone".into()));
        assert!(configs.resolve(&vec!["base".into(); NAMES_MAX + 1]).await.is_err());
    }

    #[tokio::test]
    async fn what_is_no_configuration_is_refused_without_being_quoted() {
        let configs = configs();
        for json in ["", "[]", r#""secret""#, r#"{"password":["secret"]}"#, r#"{"port":6379}"#] {
            let error = configs.put("a", json.into()).await.unwrap_err();
            assert_eq!(error.code(), "config_invalid", "{json}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(CONFIG_LEN_MAX));
        assert_eq!(configs.put("a", large.into()).await.unwrap_err().code(), "config_invalid");
        assert!(configs.put("no name", "{}".into()).await.is_err());
        assert_eq!(Configs::new(None, &LatticeId::default()).get("a").await, Err(ConfigError::NoStore));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_is_told_of_a_stuck_or_absent_store_before_giving_up() {
        let stuck = Configs { store: OnceCell::from(Arc::new(Stuck) as Arc<dyn KvStore>), ..configs() };
        let begun = tokio::time::Instant::now();
        assert_eq!(stuck.resolve(&["a".into()]).await.unwrap_err().code(), "kv_timed_out");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(stuck.put("a", "{}".into()).await.unwrap_err().code(), "kv_timed_out");
        assert_eq!(stuck.delete("a").await.unwrap_err().code(), "kv_timed_out");

        let gone = MemoryBus::new();
        gone.drain().await;
        let gone = Configs::new(Some(Arc::new(gone)), &LatticeId::default());
        assert_eq!(gone.get("a").await.unwrap_err().code(), "kv_unavailable");
    }
}
