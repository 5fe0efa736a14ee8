//! Who was cut off refuses calls it could only fail, before they run.
//!
//! While a host is cut off, others move what it calls. When it is back, calls may reach it before the beats that tell
//! where things are now. An actor that then fails has run, so its call could not be made again elsewhere; a refused one
//! can.

use std::sync::{Arc, Weak, atomic::Ordering};

use bytes::Bytes;
use wattle_types::{BoxFuture, HostId, InvokeError};

use super::{Inner, LocalHost, Node};
use crate::rpc::{Refusal, RemoteCall, Serve, Target};

/// Stands before a host, which it does not keep alive.
pub(super) struct Gate {
    pub(super) node: Weak<Inner>,
    pub(super) host: Arc<dyn LocalHost>,
}

impl Serve for Gate {
    fn serve(&self, from: HostId, call: RemoteCall) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        let needs_others = matches!(call.target, Target::Actor { .. });
        let node = self.node.upgrade().map(Node).filter(|_| needs_others);
        if node.is_some_and(|node| !node.is_up_to_date_with(&from)) {
            return Box::pin(async { Err(Refusal::of(&InvokeError::CutOff, false)) });
        }
        self.host.serve(from, call)
    }
}

impl Node {
    /// Returns whether a host that calls us was heard since we were cut off: it then told us what it knows better.
    pub(super) fn is_up_to_date_with(&self, caller: &HostId) -> bool {
        // Almost always so: calls do not wait for each other here.
        if !self.0.was_cut_off.load(Ordering::Relaxed) {
            return true;
        }
        let back = self.hearing().back(super::now());
        back.is_none_or(|back| self.change_directory(|directory| directory.heard_since(caller, back)))
    }

    /// Looks whether we are, or were not long ago, cut off. To be done often, with [`Node::hear`].
    pub(super) fn look_at_hearing(&self) {
        let back = self.hearing().back(super::now());
        if self.0.was_cut_off.swap(back.is_some(), Ordering::Relaxed) != back.is_some() {
            let is_over = back.is_none();
            tracing::info!(is_over, "this host was cut off from the lattice");
        }
    }
}
