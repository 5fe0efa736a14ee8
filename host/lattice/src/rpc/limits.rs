//! What bounds calls between hosts.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::frame::EXTRA_LEN_MAX;

/// Bounds of calls between hosts. The defaults are for production; tests have smaller ones.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest payload that goes in one message, in bytes; larger ones go in parts. Shrinks by itself when the
    /// bus takes less.
    pub part_len: usize,
    /// Largest payload altogether, in bytes.
    pub payload_len_max: usize,
    /// Calls of ours that may wait for one host.
    pub waiting_max: usize,
    /// Calls of other hosts that may run here at once.
    pub running_max: usize,
    /// Of those, calls of one host.
    pub running_per_host_max: usize,
    /// Bytes of payloads in parts kept for other hosts.
    pub kept_len_max: usize,
    /// Of those, bytes for one host.
    pub kept_len_per_host_max: usize,
    /// Sessions kept, in each direction. The one unused for longest goes when there are more.
    pub sessions_max: usize,
    /// How long a host may take to answer the first contact.
    pub contact_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            part_len: 512 * 1024,
            payload_len_max: 16 * 1024 * 1024,
            waiting_max: 4096,
            running_max: 4096,
            running_per_host_max: 1024,
            kept_len_max: 256 * 1024 * 1024,
            kept_len_per_host_max: 64 * 1024 * 1024,
            sessions_max: 16_384,
            contact_timeout: Duration::from_secs(2),
        }
    }
}

/// Smallest length that parts of a payload shrink to. Bounds how many there are.
pub(super) const PART_LEN_MIN: usize = 1024;

/// How long a part may be, learned from the bus.
#[derive(Debug)]
pub(super) struct PartLen(AtomicUsize);

impl PartLen {
    pub(super) fn new(len: usize) -> Self {
        Self(AtomicUsize::new(len.max(PART_LEN_MIN)))
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Makes parts fit messages of `limit` bytes. Returns whether parts of `len` bytes become shorter by that.
    pub(super) fn shrink(&self, len: usize, limit: usize) -> bool {
        let fitting = limit.saturating_sub(EXTRA_LEN_MAX).max(PART_LEN_MIN);
        self.0.fetch_min(fitting, Ordering::Relaxed).min(fitting) < len
    }
}
