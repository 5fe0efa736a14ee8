//! Configuration: `url`, `prefix`, `timeout_ms`, `connect_timeout_ms`, for the provider or for each link.

use std::{sync::Arc, time::Duration};

use redis::{Client, IntoConnectionInfo, io::tcp::TcpSettings};
use wattle_provider_sdk::{KeyValueFactory, KeyValueKind, Settings, ValueKind};
use wattle_types::ProviderError;

use crate::{
    RedisStore,
    connection::{Connection, Connector},
    explain::explain,
};

/// Makes key-value providers on Redis.
pub type RedisFactory = KeyValueFactory<Redis>;

const SETTINGS: &[&str] = &["url", "prefix", "timeout_ms", "connect_timeout_ms"];

/// How long a command may take unless `timeout_ms` says otherwise. A call's own deadline may be shorter.
const TIMEOUT_MS_DEFAULT: u64 = 2000;

/// How long connecting may take unless `connect_timeout_ms` says otherwise: calls wait for it while Redis is gone.
const CONNECT_TIMEOUT_MS_DEFAULT: u64 = 1000;

/// The kind.
#[derive(Debug)]
pub struct Redis;

impl KeyValueKind for Redis {
    type Store = RedisStore;

    const PROVIDER_SETTINGS: &'static [&'static str] = SETTINGS;
    const LINK_SETTINGS: &'static [&'static str] = SETTINGS;

    fn create(settings: &Settings, _predecessor: Option<Arc<Self>>) -> Result<Self, ProviderError> {
        if settings.get("url").is_some() {
            client(settings, milliseconds(settings, "timeout_ms", TIMEOUT_MS_DEFAULT)?)?;
        }
        Ok(Self)
    }

    async fn open(&self, settings: &Settings) -> Result<RedisStore, ProviderError> {
        let timeout = milliseconds(settings, "timeout_ms", TIMEOUT_MS_DEFAULT)?;
        let connect_timeout = milliseconds(settings, "connect_timeout_ms", CONNECT_TIMEOUT_MS_DEFAULT)?;
        let client = client(settings, timeout)?;
        let address = client.get_connection_info().addr().to_string();
        let connection = Connection::open(Connector { client, connect_timeout, timeout })
            .await
            .map_err(|error| ProviderError::from(explain(&error, ValueKind::Text, &address)))?;
        Ok(RedisStore::new(connection, address, settings.get("prefix").unwrap_or_default()))
    }
}

fn client(settings: &Settings, timeout: Duration) -> Result<Client, ProviderError> {
    const EXAMPLE: &str = "url=redis://localhost:6379/0";
    let bad = || ProviderError::BadConfig(format!("url is not the address of a Redis, for example {EXAMPLE}"));
    let url = settings.require("url", EXAMPLE)?;
    if url.starts_with("rediss:") {
        return Err(ProviderError::BadConfig("url asks for TLS, which this build does not speak: use redis://".into()));
    }
    let info = url.into_connection_info().map_err(|_| bad())?;
    // A server that vanished without a word is noticed by what it does not acknowledge.
    let tcp = TcpSettings::default().set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    let tcp = tcp.set_user_timeout(timeout);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
    let _ = timeout;
    Client::open(info.set_tcp_settings(tcp)).map_err(|_| bad())
}

fn milliseconds(settings: &Settings, name: &str, default: u64) -> Result<Duration, ProviderError> {
    match settings.get_or(name, default, "a number of milliseconds from 1 to 60000")? {
        ms @ 1..=60_000 => Ok(Duration::from_millis(ms)),
        _ => Err(ProviderError::BadConfig(format!("{name} must be a number of milliseconds from 1 to 60000"))),
    }
}
