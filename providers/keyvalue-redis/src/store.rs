//! The contract's methods as Redis's commands.

use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, ServerErrorKind, cmd};
use wattle_provider_sdk::{KeyValue, KeyValueError, ValueKind};

use crate::{
    connection::Connection,
    explain::explain,
    reading::{KEYS_MAX, Reading},
};

/// Longest expiry Redis is asked for: a hundred years. More overflows its clock.
const EXPIRY_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A store on one Redis database, under one prefix.
#[derive(Clone)]
pub struct RedisStore {
    connection: Arc<Connection>,
    address: String,
    prefix: String,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.address).field("prefix", &self.prefix).finish()
    }
}

impl RedisStore {
    pub(crate) fn new(connection: Connection, address: String, prefix: &str) -> Self {
        Self { connection: Arc::new(connection), address, prefix: prefix.to_owned() }
    }

    fn key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        match self.prefix.as_str() {
            "" => key.into(),
            prefix => [prefix, key].concat().into(),
        }
    }

    /// Starts a command on `key`.
    fn on(&self, name: &str, key: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(&*self.key(key));
        command
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd, expected: ValueKind) -> Result<T, KeyValueError> {
        self.connection.query(command).await.map_err(|error| explain(&error, expected, &self.address))
    }

    /// Reads what may be of any length, and is refused when it is longer than an answer.
    async fn read<T: FromRedisValue>(&self, reading: Reading<'_>, expected: ValueKind) -> Result<T, KeyValueError> {
        let mut answer = self.connection.query(&reading.known()).await;
        if answer.as_ref().is_err_and(|error| error.kind() == ServerErrorKind::NoScript.into()) {
            answer = self.connection.query(&reading.whole()).await;
        }
        answer.map_err(|error| explain(&error, expected, &self.address))
    }

    async fn combine(&self, name: &'static str, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        let keys: BTreeSet<&String> = keys.iter().collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if keys.len() > KEYS_MAX {
            return Err(KeyValueError::Failed(format!("more than {KEYS_MAX} sets cannot be combined at once")));
        }
        let keys: Vec<_> = keys.into_iter().map(|key| self.key(key)).collect();
        self.read(Reading { name, keys: &keys, arguments: &[] }, ValueKind::Set).await
    }
}

impl KeyValue for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<String>, KeyValueError> {
        self.read(Reading { name: "GET", keys: &[self.key(key)], arguments: &[] }, ValueKind::Text).await
    }

    async fn set(&self, key: &str, value: String, expiry: Option<Duration>) -> Result<(), KeyValueError> {
        let mut command = self.on("SET", key);
        command.arg(value);
        if let Some(expiry) = expiry {
            let expiry = expiry.clamp(Duration::from_millis(1), EXPIRY_MAX);
            command.arg("PX").arg(u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX));
        }
        self.ask(&command, ValueKind::Text).await
    }

    async fn increment(&self, key: &str, by: i64) -> Result<i64, KeyValueError> {
        self.ask(self.on("INCRBY", key).arg(by), ValueKind::Text).await
    }

    async fn delete(&self, key: &str) -> Result<bool, KeyValueError> {
        self.ask(&self.on("DEL", key), ValueKind::Text).await
    }

    async fn contains(&self, key: &str) -> Result<bool, KeyValueError> {
        self.ask(&self.on("EXISTS", key), ValueKind::Text).await
    }

    async fn list_push(&self, key: &str, value: String) -> Result<u64, KeyValueError> {
        self.ask(self.on("RPUSH", key).arg(value), ValueKind::List).await
    }

    async fn list_remove(&self, key: &str, value: &str) -> Result<u64, KeyValueError> {
        self.ask(self.on("LREM", key).arg(0).arg(value), ValueKind::List).await
    }

    async fn list_range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<String>, KeyValueError> {
        self.read(Reading { name: "LRANGE", keys: &[self.key(key)], arguments: &[start, stop] }, ValueKind::List).await
    }

    async fn set_add(&self, key: &str, value: String) -> Result<bool, KeyValueError> {
        self.ask(self.on("SADD", key).arg(value), ValueKind::Set).await
    }

    async fn set_remove(&self, key: &str, value: &str) -> Result<bool, KeyValueError> {
        self.ask(self.on("SREM", key).arg(value), ValueKind::Set).await
    }

    async fn set_members(&self, key: &str) -> Result<Vec<String>, KeyValueError> {
        self.read(Reading { name: "SMEMBERS", keys: &[self.key(key)], arguments: &[] }, ValueKind::Set).await
    }

    async fn set_union(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        self.combine("SUNION", keys).await
    }

    async fn set_intersection(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        self.combine("SINTER", keys).await
    }

    async fn ping(&self) -> Result<(), KeyValueError> {
        self.ask(&cmd("PING"), ValueKind::Text).await
    }
}
