//! How work on the file can fail.

use wattle_provider_sdk::KeyValueError;

/// Why an operation was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The contract refuses it; nothing was changed.
    Refused(KeyValueError),
    /// The file failed; the whole transaction is given up.
    Broken(redb::Error),
}

impl Fault {
    /// Returns whether the file may be of no more use as it is open.
    pub(crate) const fn is_failure(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Broken(redb::Error::ValueTooLarge(_)))
    }
}

impl From<KeyValueError> for Fault {
    fn from(error: KeyValueError) -> Self {
        Self::Refused(error)
    }
}

macro_rules! broken {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Broken(error.into())
            }
        })*
    };
}

broken!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

impl From<Fault> for KeyValueError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Broken(redb::Error::ValueTooLarge(size)) => {
                Self::TooLarge { what: "a key or value", size, limit: 3 << 30 }
            }
            Fault::Broken(redb::Error::Io(error)) if is_full(&error) => {
                Self::Full { limit: format!("its file cannot grow: {error}") }
            }
            Fault::Broken(error) => Self::Unavailable(format!("the store's file failed: {error}")),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
