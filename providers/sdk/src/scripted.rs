//! A back end of every contract that notes what it is asked and answers what the golden vectors hold. Clones share
//! their notes. Asked for the key "stuck", it never answers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use wattle_types::{ActorId, ProviderError};

use crate::{KeyValue, KeyValueError, LogEntry, Logging, NumberGen};

#[derive(Clone)]
pub(crate) struct Scripted {
    calls: Arc<Mutex<Vec<String>>>,
    value: Option<&'static str>,
    sum: i64,
}

impl Default for Scripted {
    fn default() -> Self {
        Self { calls: Arc::default(), value: Some("één"), sum: 70_000 }
    }
}

impl Scripted {
    pub(crate) fn empty() -> Self {
        Self { value: None, ..Self::default() }
    }

    pub(crate) fn counting(sum: i64) -> Self {
        Self { sum, ..Self::default() }
    }

    /// Takes the notes made since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note(&self, call: String) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl KeyValue for Scripted {
    async fn get(&self, key: &str) -> Result<Option<String>, KeyValueError> {
        self.note(format!("get {key}"));
        if key == "stuck" {
            std::future::pending::<()>().await;
        }
        Ok(self.value.map(Into::into))
    }

    async fn set(&self, key: &str, value: String, expiry: Option<Duration>) -> Result<(), KeyValueError> {
        self.note(format!("set {key} {value} {expiry:?}"));
        Ok(())
    }

    async fn increment(&self, key: &str, by: i64) -> Result<i64, KeyValueError> {
        self.note(format!("increment {key} {by}"));
        Ok(self.sum)
    }

    async fn delete(&self, key: &str) -> Result<bool, KeyValueError> {
        self.note(format!("delete {key}"));
        Ok(true)
    }

    async fn contains(&self, key: &str) -> Result<bool, KeyValueError> {
        self.note(format!("contains {key}"));
        Ok(true)
    }

    async fn list_push(&self, key: &str, value: String) -> Result<u64, KeyValueError> {
        self.note(format!("list_push {key} {value}"));
        Ok(3)
    }

    async fn list_remove(&self, key: &str, value: &str) -> Result<u64, KeyValueError> {
        self.note(format!("list_remove {key} {value}"));
        Ok(2)
    }

    async fn list_range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<String>, KeyValueError> {
        self.note(format!("list_range {key} {start} {stop}"));
        Ok(texts(&["a", "één"]))
    }

    async fn set_add(&self, key: &str, value: String) -> Result<bool, KeyValueError> {
        self.note(format!("set_add {key} {value}"));
        Ok(true)
    }

    async fn set_remove(&self, key: &str, value: &str) -> Result<bool, KeyValueError> {
        self.note(format!("set_remove {key} {value}"));
        Ok(true)
    }

    async fn set_members(&self, key: &str) -> Result<Vec<String>, KeyValueError> {
        self.note(format!("set_members {key}"));
        Ok(texts(&["a"]))
    }

    async fn set_union(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        self.note(format!("set_union {}", keys.join(" ")));
        Ok(texts(&["a", "één"]))
    }

    async fn set_intersection(&self, keys: &[String]) -> Result<Vec<String>, KeyValueError> {
        self.note(format!("set_intersection {}", keys.join(" ")));
        Ok(texts(&["één"]))
    }

    async fn close(&self) {
        self.note("close".into());
    }
}

impl Logging for Scripted {
    fn log(&self, _actor: &ActorId, entry: LogEntry) -> Result<(), ProviderError> {
        self.note(format!("log {:?} {}", entry.level, entry.text));
        Ok(())
    }
}

impl NumberGen for Scripted {
    fn guid(&self) -> Result<String, ProviderError> {
        Ok("123e4567-e89b-42d3-a456-426655440000".into())
    }

    fn random_in_range(&self, min: u32, max: u32) -> Result<u32, ProviderError> {
        self.note(format!("random_in_range {min} {max}"));
        Ok(17)
    }

    fn random_u32(&self) -> Result<u32, ProviderError> {
        Ok(70_000)
    }

    fn sequence(&self) -> Result<u64, ProviderError> {
        Ok(7)
    }
}
