//! The open file of a store, opened anew after it failed.
//!
//! redb takes no change any more after one that the disk refused, and reads only what it has in memory. So a file that
//! failed is let go of, and opened again by whoever needs it next: it is then as the last commit left it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Database, DatabaseError};
use wattle_provider_sdk::KeyValueError;

use crate::fault::Fault;

/// How long changes are refused after one that the file failed, and how often it is opened, in milliseconds: to open it
/// then takes as long as to read all of it.
const PAUSE_MS: u64 = 1000;
/// How long a change that failed makes the store unhealthy, in milliseconds, unless another succeeds.
const UNHEALTHY_MS: u64 = 30_000;

/// Opens the file. Blocks.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The file. Everything here blocks while it is opened.
pub(crate) struct StoreFile {
    open: Opener,
    state: Mutex<State>,
}

struct State {
    /// `None` after a failure, and once it is closed.
    database: Option<Arc<Database>>,
    opened_ms: u64,
    failure: Option<Failure>,
    is_closed: bool,
}

#[derive(Clone)]
struct Failure {
    at_ms: u64,
    error: KeyValueError,
}

impl fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFile").finish_non_exhaustive()
    }
}

impl StoreFile {
    /// Opens it for the first time.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(open: Opener, now: u64) -> Result<Self, DatabaseError> {
        let database = Some(Arc::new(open()?));
        let state = State { database, opened_ms: now, failure: None, is_closed: false };
        Ok(Self { open, state: Mutex::new(state) })
    }

    /// Does `work` on the file, for reading.
    pub(crate) fn read<T>(
        &self,
        now: u64,
        work: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<T, KeyValueError> {
        let database = self.database(now)?;
        work(&database).map_err(|fault| self.note(&database, fault, now))
    }

    /// Does `work` on the file, for a change: refused for a moment after one that failed.
    pub(crate) fn change<T>(
        &self,
        now: u64,
        work: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<T, KeyValueError> {
        self.check(now, PAUSE_MS)?;
        let database = self.database(now)?;
        let done = work(&database).map_err(|fault| self.note(&database, fault, now))?;
        self.state().failure = None;
        Ok(done)
    }

    /// Returns the failure that makes the store unhealthy.
    pub(crate) fn health(&self, now: u64) -> Result<(), KeyValueError> {
        self.check(now, UNHEALTHY_MS)
    }

    /// Lets go of the file for good.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.database = None;
    }

    fn check(&self, now: u64, within_ms: u64) -> Result<(), KeyValueError> {
        match &self.state().failure {
            // Either way: clocks are set back, too.
            Some(failure) if failure.at_ms.abs_diff(now) < within_ms => Err(failure.error.clone()),
            _ => Ok(()),
        }
    }

    fn database(&self, now: u64) -> Result<Arc<Database>, KeyValueError> {
        let mut state = self.state();
        if let Some(database) = &state.database {
            return Ok(Arc::clone(database));
        }
        if state.is_closed {
            return Err(KeyValueError::Unavailable("the store is closed".into()));
        }
        if let Some(failure) = &state.failure
            && state.opened_ms.abs_diff(now) < PAUSE_MS
        {
            return Err(failure.error.clone());
        }
        state.opened_ms = now;
        match (self.open)() {
            Ok(database) => Ok(Arc::clone(state.database.insert(Arc::new(database)))),
            Err(error) => {
                let error = KeyValueError::from(Fault::Broken(error.into()));
                state.failure = Some(Failure { at_ms: now, error: error.clone() });
                Err(error)
            }
        }
    }

    /// Lets go of a file that failed, unless that was done meanwhile. The contract's refusals are no failures of it.
    fn note(&self, failed: &Arc<Database>, fault: Fault, now: u64) -> KeyValueError {
        let is_failure = fault.is_failure();
        let error = KeyValueError::from(fault);
        if is_failure {
            let mut state = self.state();
            if state.database.as_ref().is_some_and(|current| Arc::ptr_eq(current, failed)) {
                state.database = None;
            }
            state.failure = Some(Failure { at_ms: now, error: error.clone() });
        }
        error
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
