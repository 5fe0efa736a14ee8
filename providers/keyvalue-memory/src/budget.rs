//! How much all stores of one provider may hold together.

use std::sync::atomic::{AtomicU64, Ordering};

use wattle_provider_sdk::KeyValueError;

/// What an entry costs besides its texts, in bytes: its place in tables, roughly.
const ENTRY_OVERHEAD: usize = 96;

/// What an item of a list or set costs besides its text, in bytes.
const ITEM_OVERHEAD: usize = 32;

/// What something takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Cost {
    /// Returns the cost of a key and its entry, without items.
    pub(crate) fn entry(key: &str) -> Self {
        Self { entries: 1, bytes: (key.len() + ENTRY_OVERHEAD) as u64 }
    }

    /// Returns the cost of one text.
    pub(crate) fn item(text: &str) -> Self {
        Self { entries: 0, bytes: (text.len() + ITEM_OVERHEAD) as u64 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { entries: self.entries + other.entries, bytes: self.bytes + other.bytes }
    }

    /// Returns what this takes beyond `other`.
    fn beyond(self, other: Self) -> Self {
        Self { entries: self.entries.saturating_sub(other.entries), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

/// Counts what is held against what may be.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    entries: Line,
    bytes: Line,
}

#[derive(Debug, Default)]
struct Line {
    held: AtomicU64,
    limit: AtomicU64,
}

impl Budget {
    /// Sets the limits. What is held beyond new ones stays, but nothing is added.
    pub(crate) fn limit(&self, limits: Cost) {
        self.entries.limit.store(limits.entries, Ordering::Relaxed);
        self.bytes.limit.store(limits.bytes, Ordering::Relaxed);
    }

    /// Pays for `new` in place of `old`.
    ///
    /// # Errors
    /// [`KeyValueError::Full`]; then nothing was paid.
    pub(crate) fn exchange(&self, old: Cost, new: Cost) -> Result<(), KeyValueError> {
        let more = new.beyond(old);
        self.entries.take(more.entries, "max_entries")?;
        if let Err(full) = self.bytes.take(more.bytes, "max_bytes") {
            self.entries.give(more.entries);
            return Err(full);
        }
        self.refund(old.beyond(new));
        Ok(())
    }

    /// Takes `cost` off the bill.
    pub(crate) fn refund(&self, cost: Cost) {
        self.entries.give(cost.entries);
        self.bytes.give(cost.bytes);
    }
}

impl Line {
    fn take(&self, amount: u64, setting: &str) -> Result<(), KeyValueError> {
        if amount == 0 {
            return Ok(());
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let held = self.held.fetch_add(amount, Ordering::Relaxed);
        if held.saturating_add(amount) <= limit {
            return Ok(());
        }
        self.give(amount);
        Err(KeyValueError::Full { limit: format!("{setting}={limit}") })
    }

    fn give(&self, amount: u64) {
        if amount > 0 {
            self.held.fetch_sub(amount, Ordering::Relaxed);
        }
    }
}
