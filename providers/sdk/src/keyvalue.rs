//! The key-value contract.

use std::{fmt, future::Future, time::Duration};

use wattle_types::ProviderError;

/// A store of texts, lists of texts and sets of texts by key, as Redis has them.
///
/// One key holds one [`ValueKind`]; asking it for another is [`KeyValueError::WrongKind`]. A key without a value, with
/// an empty list or with an empty set does not exist. Every method takes effect whole or not at all, and methods on
/// one key are linearizable.
///
/// # Cancel safety
/// A future dropped before it is ready leaves it open whether the change took place.
pub trait KeyValue: Send + Sync + 'static {
    /// Returns the text at `key`.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<String>, KeyValueError>> + Send;

    /// Puts a text at `key`, in place of whatever was there. It vanishes after `expiry`, if there is one.
    fn set(
        &self,
        key: &str,
        value: String,
        expiry: Option<Duration>,
    ) -> impl Future<Output = Result<(), KeyValueError>> + Send;

    /// Adds `by` to the decimal number at `key`, which is 0 when there is none, and returns the sum. Atomic. Keeps
    /// the expiry.
    fn increment(&self, key: &str, by: i64) -> impl Future<Output = Result<i64, KeyValueError>> + Send;

    /// Removes `key`, whatever it holds; returns whether it existed.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, KeyValueError>> + Send;

    /// Returns whether `key` exists, whatever it holds.
    fn contains(&self, key: &str) -> impl Future<Output = Result<bool, KeyValueError>> + Send;

    /// Appends `value` to the list at `key`; returns its new length.
    fn list_push(&self, key: &str, value: String) -> impl Future<Output = Result<u64, KeyValueError>> + Send;

    /// Removes every item equal to `value` from the list at `key`; returns how many there were.
    fn list_remove(&self, key: &str, value: &str) -> impl Future<Output = Result<u64, KeyValueError>> + Send;

    /// Returns the items from `start` to `stop`, both included and counted from 0, or from the end when negative: -1
    /// is the last. Indices outside the list are cut to it.
    fn list_range(
        &self,
        key: &str,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Vec<String>, KeyValueError>> + Send;

    /// Adds `value` to the set at `key`; returns whether it was new.
    fn set_add(&self, key: &str, value: String) -> impl Future<Output = Result<bool, KeyValueError>> + Send;

    /// Removes `value` from the set at `key`; returns whether it was there.
    fn set_remove(&self, key: &str, value: &str) -> impl Future<Output = Result<bool, KeyValueError>> + Send;

    /// Returns the set at `key`, in any order.
    fn set_members(&self, key: &str) -> impl Future<Output = Result<Vec<String>, KeyValueError>> + Send;

    /// Returns what is in any of the sets, in any order. Missing keys are empty sets.
    fn set_union(&self, keys: &[String]) -> impl Future<Output = Result<Vec<String>, KeyValueError>> + Send;

    /// Returns what is in all of the sets, in any order; nothing when there are no keys.
    fn set_intersection(&self, keys: &[String]) -> impl Future<Output = Result<Vec<String>, KeyValueError>> + Send;

    /// Checks that the store can be reached. Called every few seconds.
    fn ping(&self) -> impl Future<Output = Result<(), KeyValueError>> + Send {
        async { Ok(()) }
    }

    /// Makes everything durable and lets go of files and connections. Called at most once, as the last method.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Returns how many items of a list of `length` to skip and how many to take then, for the range from `start` to
/// `stop` as [`KeyValue::list_range`] defines it.
#[must_use]
pub fn list_window(length: u64, start: i64, stop: i64) -> (u64, u64) {
    let from_front = |index: i64| match u64::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(index.unsigned_abs()),
    };
    let skip = from_front(start).unwrap_or(0).min(length);
    let end = from_front(stop).map_or(0, |stop| stop.saturating_add(1)).min(length);
    (skip, end.saturating_sub(skip))
}

/// Returns the number a text stands for, if it is written as [`KeyValue::increment`] writes it: no sign but a minus, no
/// leading zeros, no spaces.
#[must_use]
pub fn parse_counter(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// What a key can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// One text.
    Text,
    /// A list of texts.
    List,
    /// A set of texts.
    Set,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::List => "a list",
            Self::Set => "a set",
        })
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyValueError {
    /// The key holds something else.
    #[error("the key does not hold {expected}")]
    WrongKind {
        /// What the operation works on.
        expected: ValueKind,
    },
    /// The text is not a decimal number of 64 bits.
    #[error("the value is not a number")]
    NotANumber,
    /// The sum leaves the range of 64 bits; nothing was changed.
    #[error("the sum does not fit 64 bits")]
    Overflow,
    /// The store holds as much as it may.
    #[error("the store is full: {limit}")]
    Full {
        /// Which limit, with its setting's name.
        limit: String,
    },
    /// Key or value is larger than this store takes, or an answer larger than a message.
    #[error("{what} of {size} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// "a key", "a value", "an answer".
        what: &'static str,
        /// Bytes found.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// What is behind the store cannot be reached. Nothing or, rarely, the whole change took place.
    #[error("{0}")]
    Unavailable(String),
    /// Too many operations wait already; this one was not begun.
    #[error("the store is overloaded")]
    Overloaded,
    /// The store failed in another way.
    #[error("{0}")]
    Failed(String),
}

impl KeyValueError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongKind { .. } => "value_kind_wrong",
            Self::NotANumber => "value_not_a_number",
            Self::Overflow => "value_overflow",
            Self::Full { .. } => "store_full",
            Self::TooLarge { .. } => "value_too_large",
            Self::Unavailable(_) => "backend_unavailable",
            Self::Overloaded => "overloaded",
            Self::Failed(_) => "provider_failed",
        }
    }
}

impl From<KeyValueError> for ProviderError {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::Unavailable(message) => Self::BackendUnavailable(message),
            KeyValueError::Overloaded => Self::Overloaded,
            KeyValueError::Failed(message) => Self::Failed(message),
            other => Self::Failed(format!("{} ({})", other, other.code())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_list() {
        for (start, stop, window) in [
            (0, -1, (0, 5)),
            (0, 0, (0, 1)),
            (1, 2, (1, 2)),
            (-2, -1, (3, 2)),
            (-9, 1, (0, 2)),
            (3, 99, (3, 2)),
            (4, 2, (4, 0)),
            (9, 12, (5, 0)),
            (0, -9, (0, 0)),
            (i64::MIN, i64::MAX, (0, 5)),
            (i64::MAX, i64::MIN, (5, 0)),
        ] {
            assert_eq!(list_window(5, start, stop), window, "{start}..={stop}");
        }
        assert_eq!(list_window(0, 0, -1), (0, 0));
    }
}
