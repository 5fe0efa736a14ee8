//! The body of an answer, counted as it leaves.

use std::{io::IoSlice, sync::Arc};

use bytes::{Buf, Bytes};

use super::Activity;
use crate::budget::Share;

/// Bytes that count each step of their way into the socket, and hold their share of a budget until they are there.
///
/// What HTTP/2 writes for itself, such as answers to a client's pings, is thereby no work done.
pub(crate) struct Sent {
    bytes: Bytes,
    _share: Option<Share>,
    activity: Arc<Activity>,
    /// When a part of it was last written.
    turn: usize,
}

impl Sent {
    pub(crate) fn new(bytes: Bytes, share: Option<Share>, activity: Arc<Activity>) -> Self {
        let turn = activity.unread.enter();
        Self { bytes, _share: share, activity, turn }
    }

    fn moved(&mut self, count: usize) {
        if count > 0 {
            self.activity.sent();
            self.turn = self.activity.unread.moved(self.turn);
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.activity.unread.leave(self.turn);
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
        self.moved(count);
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.moved(count);
        self.bytes.copy_to_bytes(count)
    }
}
