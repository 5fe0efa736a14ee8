//! This host's end of all sessions: what asking and answering share.

use std::sync::Arc;

use bytes::Bytes;
use wattle_bus::{Bus, BusError, Subscription};
use wattle_types::subject;

use super::{Identity, Limits, Surroundings, limits::PartLen};

/// The bus, who we are, and the bounds.
pub(super) struct Endpoint {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) identity: Identity,
    /// Which start of the host this is: grows with each.
    pub(super) incarnation: u64,
    pub(super) surroundings: Arc<dyn Surroundings>,
    pub(super) limits: Limits,
    pub(super) part_len: PartLen,
}

impl Endpoint {
    /// Listens to what other hosts send to this one.
    pub(super) async fn listen(&self) -> Result<Subscription, BusError> {
        self.bus.subscribe(&subject::rpc_host(&self.identity.lattice, &self.identity.host), None).await
    }

    /// Answers another host. Nobody but the log is told when that fails: the other host finds out by waiting.
    pub(super) async fn publish(&self, to: &str, frame: Bytes) -> Result<(), BusError> {
        let sent = self.bus.publish(to, None, &[], frame).await;
        if let Err(error) = &sent {
            tracing::debug!(%error, "another host was not answered");
        }
        sent
    }
}
