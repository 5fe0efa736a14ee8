//! Reads from one snapshot of the file. Synchronous; the time is handed in.

use std::collections::BTreeSet;

use redb::{Database, ReadTransaction, ReadableDatabase};
use wattle_provider_sdk::{AnswerRoom, KeyValueError, ValueKind, list_window};

use crate::{
    fault::Fault,
    tables::{ENTRIES, Held, ITEMS, MEMBERS},
};

/// The state as the last commit before now left it.
pub(crate) struct Snapshot {
    transaction: ReadTransaction,
    now: u64,
}

impl Snapshot {
    pub(crate) fn take(database: &Database, now: u64) -> Result<Self, Fault> {
        Ok(Self { transaction: database.begin_read()?, now })
    }

    pub(crate) fn held(&self, key: &str) -> Result<Option<Held>, Fault> {
        let entries = self.transaction.open_table(ENTRIES)?;
        Ok(entries.get(key)?.and_then(|head| Held::read(head.value(), self.now)))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        match self.held(key)? {
            None => Ok(None),
            Some(Held::Text { text, .. }) => Ok(Some(text)),
            Some(_) => Err(wrong(ValueKind::Text)),
        }
    }

    pub(crate) fn range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<String>, Fault> {
        let count = match self.held(key)? {
            None => return Ok(Vec::new()),
            Some(Held::List { count, .. }) => count,
            Some(_) => return Err(wrong(ValueKind::List)),
        };
        let (skip, take) = list_window(count, start, stop);
        let items = self.transaction.open_table(ITEMS)?;
        let items = items.range((key, 0)..=(key, u64::MAX))?;
        let mut room = AnswerRoom::default();
        items
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .take(usize::try_from(take).unwrap_or(usize::MAX))
            .map(|item| Ok(room.copy(item?.1.value())?))
            .collect()
    }

    pub(crate) fn members(&self, key: &str) -> Result<Vec<String>, Fault> {
        self.set(key)?;
        let (mut found, mut room) = (Vec::new(), AnswerRoom::default());
        self.each_member(key, |member| {
            found.push(room.copy(member)?);
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn union(&self, keys: &[String]) -> Result<Vec<String>, Fault> {
        let (mut union, mut room) = (BTreeSet::new(), AnswerRoom::default());
        for (key, _) in self.sets(keys)? {
            self.each_member(key, |member| {
                if !union.contains(member) {
                    union.insert(room.copy(member)?);
                }
                Ok(())
            })?;
        }
        Ok(union.into_iter().collect())
    }

    /// Looks only the members of the smallest set up in the others: no more lookups than the sets have members.
    pub(crate) fn intersection(&self, keys: &[String]) -> Result<Vec<String>, Fault> {
        let mut sets = self.sets(keys)?;
        sets.sort_unstable_by_key(|(_, count)| *count);
        let Some(((smallest, _), others)) = sets.split_first() else { return Ok(Vec::new()) };
        let members = self.transaction.open_table(MEMBERS)?;
        let (mut common, mut room) = (Vec::new(), AnswerRoom::default());
        self.each_member(smallest, |member| {
            for (key, _) in others {
                if members.get((*key, member))?.is_none() {
                    return Ok(());
                }
            }
            common.push(room.copy(member)?);
            Ok(())
        })?;
        Ok(common)
    }

    /// Returns the keys of sets, each once, with how many members they have.
    fn sets<'k>(&self, keys: &'k [String]) -> Result<Vec<(&'k str, u64)>, Fault> {
        let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        keys.into_iter().map(|key| Ok((key, self.set(key)?))).collect()
    }

    /// Returns how many members the set at `key` has.
    fn set(&self, key: &str) -> Result<u64, Fault> {
        match self.held(key)? {
            None => Ok(0),
            Some(Held::Set { count }) => Ok(count),
            Some(_) => Err(wrong(ValueKind::Set)),
        }
    }

    fn each_member(&self, key: &str, mut visit: impl FnMut(&str) -> Result<(), Fault>) -> Result<(), Fault> {
        let next = [key, "\0"].concat();
        let members = self.transaction.open_table(MEMBERS)?;
        members.range((key, "")..(next.as_str(), ""))?.try_for_each(|member| visit(member?.0.value().1))
    }
}

const fn wrong(expected: ValueKind) -> Fault {
    Fault::Refused(KeyValueError::WrongKind { expected })
}
