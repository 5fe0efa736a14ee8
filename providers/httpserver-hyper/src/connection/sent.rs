//! The body of an answer, counted as it leaves.

use std::{io::IoSlice, sync::Arc};

use bytes::{Buf, Bytes};

use super::Activity;

/// Bytes that count each step of their way into the socket.
///
/// What HTTP/2 writes for itself, such as answers to a client's pings, is thereby no work done.
pub(crate) struct Sent {
    bytes: Bytes,
    activity: Arc<Activity>,
}

impl Sent {
    pub(crate) const fn new(bytes: Bytes, activity: Arc<Activity>) -> Self {
        Self { bytes, activity }
    }
}

impl Buf for Sent {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        if count > 0 {
            self.activity.sent();
        }
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if count > 0 {
            self.activity.sent();
        }
        self.bytes.copy_to_bytes(count)
    }
}
