//! What the file holds, and changes to it within one transaction. Synchronous; the time is handed in.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use wattle_provider_sdk::{KeyValueError, ValueKind, parse_counter};

use crate::fault::Fault;

/// Kind, expiry (milliseconds since 1970, 0 for never), next place in a list, number of items, text.
type Head = (u8, u64, u64, u64, &'static str);

/// What each key holds. Items of lists and sets are elsewhere, so that adding one does not write them all.
pub(crate) const ENTRIES: TableDefinition<'_, &str, Head> = TableDefinition::new("entries");
/// Lists: key and place. Places grow; removed items leave gaps.
pub(crate) const ITEMS: TableDefinition<'_, (&str, u64), &str> = TableDefinition::new("items");
/// Sets: key and member.
pub(crate) const MEMBERS: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("members");
/// When which key expires.
pub(crate) const EXPIRIES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("expiries");

/// Most expired keys dropped in one transaction, which bounds how long others wait for it.
const PURGE_MAX: usize = 256;

/// What a key holds, without the items of lists and sets. Those are never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Text { text: String, expires: u64 },
    List { next: u64, count: u64 },
    Set { count: u64 },
}

impl Held {
    /// Reads an entry; `None` when it has expired at `now`.
    pub(crate) fn read((kind, expires, next, count, text): (u8, u64, u64, u64, &str), now: u64) -> Option<Self> {
        match kind {
            0 if expires != 0 && expires <= now => None,
            0 => Some(Self::Text { text: text.to_owned(), expires }),
            1 => Some(Self::List { next, count }),
            _ => Some(Self::Set { count }),
        }
    }

    fn head(&self) -> (u8, u64, u64, u64, &str) {
        match self {
            Self::Text { text, expires } => (0, *expires, 0, 0, text),
            Self::List { next, count } => (1, 0, *next, *count, ""),
            Self::Set { count } => (2, 0, 0, *count, ""),
        }
    }
}

/// A change of one key.
#[derive(Debug)]
pub(crate) enum Change {
    /// To a text that expires at a moment, 0 for never.
    Set(String, u64),
    Increment(i64),
    Delete,
    ListPush(String),
    ListRemove(String),
    SetAdd(String),
    SetRemove(String),
}

/// The tables of one write transaction.
pub(crate) struct Tables<'t> {
    entries: Table<'t, &'static str, Head>,
    items: Table<'t, (&'static str, u64), &'static str>,
    members: Table<'t, (&'static str, &'static str), ()>,
    expiries: Table<'t, (u64, &'static str), ()>,
    now: u64,
}

impl<'t> Tables<'t> {
    /// Opens the tables, making those that are missing.
    pub(crate) fn open(transaction: &'t WriteTransaction, now: u64) -> Result<Self, Fault> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            items: transaction.open_table(ITEMS)?,
            members: transaction.open_table(MEMBERS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            now,
        })
    }

    /// Drops what has expired, up to a bound.
    pub(crate) fn purge(&mut self) -> Result<(), Fault> {
        let mut due = Vec::new();
        for entry in self.expiries.iter()?.take(PURGE_MAX) {
            let (at, key) = entry.map(|(key, _)| (key.value().0, key.value().1.to_owned()))?;
            if at > self.now {
                break;
            }
            due.push(key);
        }
        due.iter().try_for_each(|key| self.remove(key).map(drop))
    }

    /// Makes one change; returns the contract's answer as a number. When refused, nothing was changed.
    pub(crate) fn apply(&mut self, key: &str, change: &Change) -> Result<i64, Fault> {
        match change {
            Change::Set(text, expires) => self.set(key, text, *expires),
            Change::Increment(by) => self.increment(key, *by),
            Change::Delete => self.delete(key),
            Change::ListPush(item) => self.list_push(key, item),
            Change::ListRemove(item) => self.list_remove(key, item),
            Change::SetAdd(item) => self.set_add(key, item),
            Change::SetRemove(item) => self.set_remove(key, item),
        }
    }

    /// Returns what `key` holds now. What has expired is dropped first, as it would be in the way.
    fn held(&mut self, key: &str) -> Result<Option<Held>, Fault> {
        let Some(held) = self.entries.get(key)?.map(|head| Held::read(head.value(), self.now)) else {
            return Ok(None);
        };
        if held.is_none() {
            self.remove(key)?;
        }
        Ok(held)
    }

    fn put(&mut self, key: &str, held: &Held) -> Result<(), Fault> {
        self.entries.insert(key, held.head())?;
        Ok(())
    }

    /// Removes `key` with all its items and its expiry, expired or not.
    fn remove(&mut self, key: &str) -> Result<bool, Fault> {
        // No entry has expired at the beginning of time.
        let Some(held) = self.entries.remove(key)?.and_then(|head| Held::read(head.value(), 0)) else {
            return Ok(false);
        };
        match held {
            Held::Text { expires: 0, .. } => {}
            Held::Text { expires, .. } => {
                self.expiries.remove((expires, key))?;
            }
            Held::List { .. } => self.items.retain_in((key, 0)..=(key, u64::MAX), |_, _| false)?,
            // The text that follows `key` immediately is `key` with a zero.
            Held::Set { .. } => {
                let next = [key, "\0"].concat();
                self.members.retain_in((key, "")..(next.as_str(), ""), |_, ()| false)?;
            }
        }
        Ok(true)
    }

    fn set(&mut self, key: &str, text: &str, expires: u64) -> Result<i64, Fault> {
        self.remove(key)?;
        if expires != 0 {
            self.expiries.insert((expires, key), ())?;
        }
        self.put(key, &Held::Text { text: text.to_owned(), expires })?;
        Ok(0)
    }

    fn increment(&mut self, key: &str, by: i64) -> Result<i64, Fault> {
        let (number, expires) = match self.held(key)? {
            None => (0, 0),
            Some(Held::Text { text, expires }) => (parse_counter(&text).ok_or(KeyValueError::NotANumber)?, expires),
            Some(_) => return Err(wrong(ValueKind::Text)),
        };
        let sum = number.checked_add(by).ok_or(KeyValueError::Overflow)?;
        self.put(key, &Held::Text { text: sum.to_string(), expires })?;
        Ok(sum)
    }

    fn delete(&mut self, key: &str) -> Result<i64, Fault> {
        let existed = self.held(key)?.is_some();
        self.remove(key)?;
        Ok(existed.into())
    }

    fn list_push(&mut self, key: &str, item: &str) -> Result<i64, Fault> {
        let (next, count) = match self.held(key)? {
            None => (0, 0),
            Some(Held::List { next, count }) => (next, count),
            Some(_) => return Err(wrong(ValueKind::List)),
        };
        self.items.insert((key, next), item)?;
        self.put(key, &Held::List { next: next + 1, count: count + 1 })?;
        Ok(count as i64 + 1)
    }

    fn list_remove(&mut self, key: &str, item: &str) -> Result<i64, Fault> {
        let (next, count) = match self.held(key)? {
            None => return Ok(0),
            Some(Held::List { next, count }) => (next, count),
            Some(_) => return Err(wrong(ValueKind::List)),
        };
        let mut removed = 0;
        self.items.retain_in((key, 0)..=(key, u64::MAX), |_, known| {
            removed += u64::from(known == item);
            known != item
        })?;
        match count.saturating_sub(removed) {
            0 => {
                self.remove(key)?;
            }
            count => self.put(key, &Held::List { next, count })?,
        }
        Ok(removed as i64)
    }

    fn set_add(&mut self, key: &str, item: &str) -> Result<i64, Fault> {
        let count = match self.held(key)? {
            None => 0,
            Some(Held::Set { count }) => count,
            Some(_) => return Err(wrong(ValueKind::Set)),
        };
        if self.members.insert((key, item), ())?.is_some() {
            return Ok(0);
        }
        self.put(key, &Held::Set { count: count + 1 })?;
        Ok(1)
    }

    fn set_remove(&mut self, key: &str, item: &str) -> Result<i64, Fault> {
        let count = match self.held(key)? {
            None => return Ok(0),
            Some(Held::Set { count }) => count,
            Some(_) => return Err(wrong(ValueKind::Set)),
        };
        if self.members.remove((key, item))?.is_none() {
            return Ok(0);
        }
        match count.saturating_sub(1) {
            0 => {
                self.remove(key)?;
            }
            count => self.put(key, &Held::Set { count })?,
        }
        Ok(1)
    }
}

const fn wrong(expected: ValueKind) -> Fault {
    Fault::Refused(KeyValueError::WrongKind { expected })
}
