//! The entries of one bucket, as a value: no clocks, no network.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Expect, KvEntry, KvError, KvEvent, KvLast};

/// The last write of each key. Deletions are kept too, as JetStream keeps its markers: their revisions count.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: BTreeMap<String, Slot>,
    by_revision: BTreeMap<u64, String>,
    revision: u64,
}

#[derive(Debug)]
struct Slot {
    revision: u64,
    /// `None` once deleted.
    value: Option<Bytes>,
}

impl Table {
    /// Returns the last write of a key.
    pub(crate) fn last(&self, key: &str) -> Option<KvLast> {
        self.slots.get(key).map(|slot| KvLast { revision: slot.revision, value: slot.value.clone() })
    }

    /// Writes a value, or a deletion for `None`, if `expect` holds; returns the revision.
    pub(crate) fn write(&mut self, key: &str, value: Option<Bytes>, expect: Expect) -> Result<u64, KvError> {
        let slot = self.slots.get(key);
        let holds = match expect {
            Expect::Any => true,
            Expect::Unwritten => slot.is_none(),
            Expect::Absent => slot.is_none_or(|slot| slot.value.is_none()),
            Expect::Revision(revision) => slot.is_some_and(|slot| slot.revision == revision),
        };
        if !holds {
            return Err(KvError::Conflict { key: key.into() });
        }
        self.revision += 1;
        let slot = Slot { revision: self.revision, value };
        if let Some(old) = self.slots.insert(key.into(), slot) {
            self.by_revision.remove(&old.revision);
        }
        self.by_revision.insert(self.revision, key.into());
        Ok(self.revision)
    }

    /// Returns the revision of the last write.
    #[cfg(feature = "test-util")]
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns how many keys were written.
    #[cfg(feature = "test-util")]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Loses everything but how many writes there were.
    #[cfg(feature = "test-util")]
    pub(crate) fn purge(&mut self) {
        self.slots.clear();
        self.by_revision.clear();
    }

    /// Returns how many writes after revision `seen` still stand.
    #[cfg(feature = "test-util")]
    pub(crate) fn count_after(&self, seen: u64) -> usize {
        seen.checked_add(1).map_or(0, |next| self.by_revision.range(next..).count())
    }

    /// Returns the oldest write after revision `seen` that still stands, and its revision.
    pub(crate) fn after(&self, seen: u64) -> Option<(u64, KvEvent)> {
        let (revision, key) = self.by_revision.range(seen.checked_add(1)?..).next()?;
        let value = self.slots.get(key)?.value.clone();
        let (key, revision) = (key.clone(), *revision);
        let event = match value {
            Some(value) => KvEvent::Put(KvEntry { key, value, revision }),
            None => KvEvent::Delete { key, revision },
        };
        Some((revision, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn expectations_decide() {
        let mut table = Table::default();
        assert!(table.write("k", value("0"), Expect::Revision(0)).is_err());
        assert_eq!(table.write("k", value("1"), Expect::Absent), Ok(1));
        assert_eq!(table.write("k", value("x"), Expect::Absent), Err(KvError::Conflict { key: "k".into() }));
        assert_eq!(table.write("k", value("2"), Expect::Revision(1)), Ok(2));
        assert!(table.write("k", None, Expect::Revision(1)).is_err());
        assert_eq!(table.write("k", None, Expect::Revision(2)), Ok(3));
        assert_eq!(table.last("k"), Some(KvLast { revision: 3, value: None }));
        assert!(table.write("k", value("x"), Expect::Unwritten).is_err());
        assert_eq!(table.write("k", value("4"), Expect::Absent), Ok(4));
        assert_eq!(table.last("k"), Some(KvLast { revision: 4, value: value("4") }));
        assert_eq!(table.write("new", value("5"), Expect::Unwritten), Ok(5));
    }

    #[test]
    fn only_the_last_write_of_a_key_is_told() {
        let mut table = Table::default();
        for (key, text) in [("a", value("1")), ("b", value("2")), ("a", value("3")), ("b", None)] {
            table.write(key, text, Expect::Any).unwrap();
        }
        let (seen, event) = table.after(0).unwrap();
        assert!(matches!(event, KvEvent::Put(entry) if entry.value == "3"));
        assert_eq!(table.after(seen).unwrap().1, KvEvent::Delete { key: "b".into(), revision: 4 });
        assert_eq!(table.after(4), None);
    }
}
