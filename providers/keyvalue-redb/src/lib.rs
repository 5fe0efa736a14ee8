//! The key-value capability in an embedded, crash-safe file.
//!
//! Every change is on disk before it is answered; changes that arrive together share one commit. All file work happens
//! away from the async threads: changes on one writer thread for each file, reads on the blocking pool. A file is
//! opened once in a process: links with equal settings share it, and a live swap hands the open file over. A file
//! that failed, as on a full disk, is opened anew.

mod fault;
mod file;
mod kind;
mod reading;
mod store;
mod tables;
mod writer;

pub use kind::{Redb, RedbFactory};
pub use store::{Clock, RedbStore};
