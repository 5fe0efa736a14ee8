//! Hosts that have proved who they are take calls first.
//!
//! A beat proves that a host of the cluster has said something, not that it is there and can answer. A session does. So
//! a host without one is met beside the calls, and takes some once it has answered.

use std::sync::PoisonError;

use futures::future::select_ok;
use wattle_types::HostId;

use super::{Node, now};
use crate::rpc::RemoteCall;

/// Hosts that are met at once for a call that nobody proved can take.
const MET_AT_ONCE_MAX: usize = 8;
/// How many times as many, one after the other, before the call is told what is wrong.
const ROUNDS_MAX: usize = 4;

impl Node {
    /// Returns the host that was chosen, if it has proved who it is; otherwise one of the `others` that has, or that
    /// does so first.
    pub(super) async fn proved_first(&self, chosen: HostId, mut others: Vec<HostId>, call: &RemoteCall) -> HostId {
        if others.is_empty() || self.0.rpc.has_session(&chosen) {
            return chosen;
        }
        let (directory, at) = (self.directory().clone(), now());
        others.retain(|host| !directory.is_suspect(host, at));
        let proved: Vec<_> = others.iter().copied().filter(|host| self.0.rpc.has_session(host)).collect();
        let outstanding = |host: &HostId| self.0.rpc.outstanding(host);
        if let Some(proved) = directory.choose(&proved, at, outstanding, self.next_turn()) {
            self.meet_aside(chosen);
            return proved;
        }
        let candidates: Vec<_> = [chosen].into_iter().chain(others).collect();
        for few in candidates.chunks(MET_AT_ONCE_MAX).take(ROUNDS_MAX) {
            let meetings = few.iter().map(|host| Box::pin(async { self.0.rpc.meet(*host).await.map(|()| *host) }));
            let time = call.context.deadline.remaining(now());
            if let Ok(Ok((host, _))) = tokio::time::timeout(time, select_ok(meetings)).await {
                return host;
            }
            few.iter().for_each(|host| self.change_directory(|directory| directory.suspect(host, now())));
        }
        // Asking it says why.
        chosen
    }

    /// Has a host prove who it is while others take the calls. They avoid one that does not.
    fn meet_aside(&self, host: HostId) {
        if !self.met_aside().insert(host) {
            return;
        }
        let node = self.clone();
        self.0.tasks.spawn(async move {
            let left = node.0.left.clone();
            let met = left.run_until_cancelled(node.0.rpc.meet(host)).await;
            if matches!(met, Some(Err(_))) {
                node.change_directory(|directory| directory.suspect(&host, now()));
            }
            node.met_aside().remove(&host);
        });
    }

    fn met_aside(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeSet<HostId>> {
        self.0.met_aside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
