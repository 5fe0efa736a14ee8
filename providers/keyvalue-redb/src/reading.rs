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

    pub(crate) fn members(&self, key: &str) -> Result<BTreeSet<String>, Fault> {
        match self.held(key)? {
            None => return Ok(BTreeSet::new()),
            Some(Held::Set { .. }) => {}
            Some(_) => return Err(wrong(ValueKind::Set)),
        }
        let next = [key, "\0"].concat();
        let members = self.transaction.open_table(MEMBERS)?;
        let members = members.range((key, "")..(next.as_str(), ""))?;
        let mut room = AnswerRoom::default();
        members.map(|member| Ok(room.copy(member?.0.value().1)?)).collect()
    }

    pub(crate) fn union(&self, keys: &[String]) -> Result<Vec<String>, Fault> {
        let (mut union, mut room) = (BTreeSet::new(), AnswerRoom::default());
        for key in keys {
            for member in self.members(key)? {
                if !union.contains(&member) {
                    union.insert(room.copy(&member)?);
                }
            }
        }
        Ok(union.into_iter().collect())
    }

    pub(crate) fn intersection(&self, keys: &[String]) -> Result<Vec<String>, Fault> {
        let Some((first, others)) = keys.split_first() else { return Ok(Vec::new()) };
        let mut common = self.members(first)?;
        for key in others {
            let members = self.members(key)?;
            common.retain(|member| members.contains(member));
        }
        Ok(common.into_iter().collect())
    }
}

const fn wrong(expected: ValueKind) -> Fault {
    Fault::Refused(KeyValueError::WrongKind { expected })
}
