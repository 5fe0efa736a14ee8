//! Configuration: `path` and `cache_bytes`, for the provider or for each link.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use redb::DatabaseError;
use tokio::task::spawn_blocking;
use wattle_provider_sdk::{KeyValueFactory, KeyValueKind, Settings};
use wattle_types::ProviderError;

use crate::{Clock, RedbStore};

/// Makes key-value providers on a file.
pub type RedbFactory = KeyValueFactory<Redb>;

const SETTINGS: &[&str] = &["path", "cache_bytes"];

/// Memory for a file's pages unless `cache_bytes` says otherwise.
const CACHE_BYTES_DEFAULT: usize = 64 << 20;

/// How long to wait for a file that is still being closed, and how often to look.
const CLOSING: (u32, Duration) = (40, Duration::from_millis(50));

/// The kind.
#[derive(Debug)]
pub struct Redb;

impl KeyValueKind for Redb {
    type Store = RedbStore;

    const PROVIDER_SETTINGS: &'static [&'static str] = SETTINGS;
    const LINK_SETTINGS: &'static [&'static str] = SETTINGS;

    fn create(settings: &Settings, _predecessor: Option<Arc<Self>>) -> Result<Self, ProviderError> {
        cache_bytes(settings)?;
        Ok(Self)
    }

    async fn open(&self, settings: &Settings) -> Result<RedbStore, ProviderError> {
        let path = PathBuf::from(settings.require("path", "path=data/keyvalue.redb")?);
        let cache_bytes = cache_bytes(settings)?;
        let (tries, pause) = CLOSING;
        for _ in 1..tries {
            match open(&path, cache_bytes).await? {
                Err(DatabaseError::DatabaseAlreadyOpen) => tokio::time::sleep(pause).await,
                opened => return opened.map_err(|error| refused(&path, &error)),
            }
        }
        open(&path, cache_bytes).await?.map_err(|error| refused(&path, &error))
    }
}

async fn open(path: &Path, cache_bytes: usize) -> Result<Result<RedbStore, DatabaseError>, ProviderError> {
    let path = path.to_owned();
    let clock: Clock = Arc::new(unix_ms);
    let opening = spawn_blocking(move || RedbStore::open(&path, cache_bytes, clock));
    opening.await.map_err(|error| ProviderError::Failed(format!("opening the file failed: {error}")))
}

fn refused(path: &Path, error: &DatabaseError) -> ProviderError {
    let path = path.display();
    match error {
        DatabaseError::DatabaseAlreadyOpen => ProviderError::BadConfig(format!(
            "{path} is open already: by another provider, or by a link that spells its settings differently"
        )),
        error => ProviderError::BackendUnavailable(format!("{path} cannot be opened: {error}")),
    }
}

fn cache_bytes(settings: &Settings) -> Result<usize, ProviderError> {
    settings.get_or("cache_bytes", CACHE_BYTES_DEFAULT, "a number of bytes")
}

/// A clock before 1970 reads as 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
