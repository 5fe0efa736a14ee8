//! A part of a store's keys, with what expires when. Synchronous; the time is handed in.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;
use wattle_provider_sdk::{KeyValueError, ValueKind, parse_counter};

use crate::budget::{Budget, Cost};

/// What a key holds. Lists and sets are never empty.
#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
}

impl Value {
    fn cost(&self) -> Cost {
        let sum = |total: Cost, item: &String| total.plus(Cost::item(item));
        match self {
            Self::Text(text) => Cost::item(text),
            Self::List(items) => items.iter().fold(Cost::default(), sum),
            Self::Set(items) => items.iter().fold(Cost::default(), sum),
        }
    }
}

#[derive(Debug)]
struct Entry {
    value: Value,
    expires: Option<Instant>,
}

/// Entries and their expiries. After [`purge`](Self::purge), which comes first, all entries are live.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    entries: HashMap<Arc<str>, Entry>,
    expiries: BTreeSet<(Instant, Arc<str>)>,
}

impl Shard {
    /// Drops what has expired.
    pub(crate) fn purge(&mut self, budget: &Budget) {
        if self.expiries.is_empty() {
            return;
        }
        let now = Instant::now();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.expiries.pop_first() {
                self.remove(&key, budget);
            }
        }
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, KeyValueError> {
        match self.entries.get(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(ValueKind::Text)),
        }
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<&VecDeque<String>>, KeyValueError> {
        match self.entries.get(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::List(items)) => Ok(Some(items)),
            Some(_) => Err(wrong(ValueKind::List)),
        }
    }

    pub(crate) fn set(&self, key: &str) -> Result<Option<&BTreeSet<String>>, KeyValueError> {
        match self.entries.get(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Set(items)) => Ok(Some(items)),
            Some(_) => Err(wrong(ValueKind::Set)),
        }
    }

    /// Puts a text in place of whatever is there. Takes it out of `text` only when there is room for it.
    pub(crate) fn put(
        &mut self,
        key: &str,
        text: &mut String,
        expires: Option<Instant>,
        budget: &Budget,
    ) -> Result<(), KeyValueError> {
        let new = Cost::item(text).plus(Cost::entry(key));
        let old = self.entries.get(key).map(|entry| entry.value.cost().plus(Cost::entry(key)));
        budget.exchange(old.unwrap_or_default(), new)?;
        let value = Value::Text(std::mem::take(text));
        let key = self.expire(key, expires);
        self.entries.insert(key, Entry { value, expires });
        Ok(())
    }

    /// Adds to the number at `key`, keeping its expiry.
    pub(crate) fn increment(&mut self, key: &str, by: i64, budget: &Budget) -> Result<i64, KeyValueError> {
        let Some(entry) = self.entries.get_mut(key) else {
            self.put(key, &mut by.to_string(), None, budget)?;
            return Ok(by);
        };
        let Value::Text(text) = &mut entry.value else { return Err(wrong(ValueKind::Text)) };
        let number = parse_counter(text).ok_or(KeyValueError::NotANumber)?;
        let sum = number.checked_add(by).ok_or(KeyValueError::Overflow)?;
        let new = sum.to_string();
        budget.exchange(Cost::item(text), Cost::item(&new))?;
        *text = new;
        Ok(sum)
    }

    pub(crate) fn push(&mut self, key: &str, item: &mut String, budget: &Budget) -> Result<usize, KeyValueError> {
        if let Some(entry) = self.entries.get_mut(key) {
            let Value::List(items) = &mut entry.value else { return Err(wrong(ValueKind::List)) };
            budget.exchange(Cost::default(), Cost::item(item))?;
            items.push_back(std::mem::take(item));
            return Ok(items.len());
        }
        budget.exchange(Cost::default(), Cost::item(item).plus(Cost::entry(key)))?;
        let value = Value::List([std::mem::take(item)].into());
        self.entries.insert(key.into(), Entry { value, expires: None });
        Ok(1)
    }

    pub(crate) fn add(&mut self, key: &str, item: &mut String, budget: &Budget) -> Result<bool, KeyValueError> {
        if let Some(entry) = self.entries.get_mut(key) {
            let Value::Set(items) = &mut entry.value else { return Err(wrong(ValueKind::Set)) };
            if items.contains(item) {
                return Ok(false);
            }
            budget.exchange(Cost::default(), Cost::item(item))?;
            return Ok(items.insert(std::mem::take(item)));
        }
        budget.exchange(Cost::default(), Cost::item(item).plus(Cost::entry(key)))?;
        let value = Value::Set([std::mem::take(item)].into());
        self.entries.insert(key.into(), Entry { value, expires: None });
        Ok(true)
    }

    /// Removes every `item` from a list; the key goes with the last one.
    pub(crate) fn list_remove(&mut self, key: &str, item: &str, budget: &Budget) -> Result<usize, KeyValueError> {
        let Some(entry) = self.entries.get_mut(key) else { return Ok(0) };
        let Value::List(items) = &mut entry.value else { return Err(wrong(ValueKind::List)) };
        let before = items.len();
        items.retain(|known| known != item);
        let removed = before - items.len();
        let emptied = items.is_empty();
        (0..removed).for_each(|_| budget.refund(Cost::item(item)));
        if emptied {
            self.remove(key, budget);
        }
        Ok(removed)
    }

    /// Removes `item` from a set; the key goes with the last one.
    pub(crate) fn set_remove(&mut self, key: &str, item: &str, budget: &Budget) -> Result<bool, KeyValueError> {
        let Some(entry) = self.entries.get_mut(key) else { return Ok(false) };
        let Value::Set(items) = &mut entry.value else { return Err(wrong(ValueKind::Set)) };
        let removed = items.remove(item);
        let emptied = items.is_empty();
        if removed {
            budget.refund(Cost::item(item));
        }
        if emptied {
            self.remove(key, budget);
        }
        Ok(removed)
    }

    pub(crate) fn remove(&mut self, key: &str, budget: &Budget) -> bool {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return false };
        budget.refund(entry.value.cost().plus(Cost::entry(&key)));
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, key));
        }
        true
    }

    /// Takes `key` out of the expiries, if it is there, and puts it in at `expires`, if there is one. Returns the key
    /// as the table shares it.
    fn expire(&mut self, key: &str, expires: Option<Instant>) -> Arc<str> {
        let known = self.entries.get_key_value(key);
        let before = known.and_then(|(_, entry)| entry.expires);
        let key = known.map_or_else(|| key.into(), |(key, _)| Arc::clone(key));
        if let Some(at) = before {
            self.expiries.remove(&(at, Arc::clone(&key)));
        }
        if let Some(at) = expires {
            self.expiries.insert((at, Arc::clone(&key)));
        }
        key
    }
}

const fn wrong(expected: ValueKind) -> KeyValueError {
    KeyValueError::WrongKind { expected }
}
