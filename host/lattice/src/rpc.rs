//! Calls between hosts: the caller chooses the host, and a session between the two proves each message.
//!
//! Owns sessions, what is under way on them, and payloads too long for one message. Knows nothing of who may call whom,
//! nor where anything runs. A call is one request and one answer on the bus, each ended by a code (HMAC) under a key
//! that only the two hosts have, and counted: what is forged, changed or sent again changes nothing.
//!
//! What a caller is told is certain: [`CallFailure::NotRun`] only when nobody listened, nothing was sent, or the host
//! said so provably. Not covered: somebody who can both record what is sent and answer in a host's place may, when that
//! host dies between running a call and answering it, make the caller believe that it did not run.

mod call;
mod client;
mod desk;
mod endpoint;
mod failure;
mod fields;
mod frame;
mod gauge;
mod handshake;
mod identity;
mod kept;
mod keys;
mod limits;
mod peer;
mod reply;
mod table;
mod window;
mod wire;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use tokio_util::sync::DropGuard;
use wattle_bus::{Bus, BusError};
use wattle_types::HostId;

pub use call::{Origin, RemoteCall, Serve, Target};
pub use failure::{CallFailure, NotRun, Refusal};
pub use identity::{Identity, NoRandomness, Surroundings, System};
pub use limits::Limits;

use client::Client;
use desk::Desk;
use endpoint::Endpoint;
use limits::PartLen;

/// One host's calls to others, and theirs to it. Clones share everything; with the last one it ends.
#[derive(Clone)]
pub struct Rpc {
    endpoint: Arc<Endpoint>,
    client: Arc<Client>,
    desk: Arc<Desk>,
    is_serving: Arc<AtomicBool>,
    _end: Arc<DropGuard>,
}

impl Rpc {
    /// Makes it; nothing is sent or received yet.
    #[must_use]
    pub fn new(bus: Arc<dyn Bus>, identity: Identity, surroundings: Arc<dyn Surroundings>, limits: Limits) -> Self {
        let part_len = PartLen::new(limits.part_len);
        let incarnation = surroundings.unix_millis();
        let endpoint = Arc::new(Endpoint { bus, identity, incarnation, surroundings, limits, part_len });
        let desk = Arc::new(Desk::new(Arc::clone(&endpoint)));
        let end = Arc::new(desk.stopped().clone().drop_guard());
        let client = Arc::new(Client::new(Arc::clone(&endpoint)));
        Self { endpoint, client, desk, is_serving: Arc::default(), _end: end }
    }

    /// Returns which start of the host this is, in milliseconds since 1970: a later process of it has more.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.endpoint.incarnation
    }

    /// Takes calls of other hosts from the moment this returns, until [`Rpc::stop`]. To be called once; again, it
    /// changes nothing.
    ///
    /// # Errors
    /// [`BusError::Disconnected`]; it may then be called again.
    pub async fn serve(&self, server: Arc<dyn Serve>) -> Result<(), BusError> {
        if self.is_serving.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        match self.endpoint.listen().await {
            Ok(messages) => self.desk.serve(server, messages),
            Err(error) => {
                self.is_serving.store(false, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Has `host` carry out a call, and waits for the answer until the call's deadline.
    ///
    /// # Errors
    /// [`CallFailure::NotRun`] when it certainly did not run, [`CallFailure::Unknown`] when nobody can tell, and
    /// [`CallFailure::Answered`] when it failed there.
    ///
    /// # Cancel safety
    /// Dropping the future gives up on the answer. What was sent may run.
    pub async fn call(&self, host: HostId, call: RemoteCall) -> Result<Bytes, CallFailure> {
        self.client.call(host, &call).await
    }

    /// Returns whether `host` has proved who it is, in a session that can be used.
    #[must_use]
    pub fn has_session(&self, host: &HostId) -> bool {
        self.client.has_session(host)
    }

    /// Has `host` prove who it is, unless it has.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn meet(&self, host: HostId) -> Result<(), NotRun> {
        self.client.meet(host).await
    }

    /// Returns how many calls wait for `host`, for choosing the one least loaded.
    #[must_use]
    pub fn outstanding(&self, host: &HostId) -> usize {
        self.client.outstanding(host)
    }

    /// Refuses new calls of other hosts, waits until those that run are answered, and listens no more.
    ///
    /// Takes as long as the longest of them: give it a timeout. When that passes, what is left goes on until its
    /// deadline, or until the last clone is dropped. Calls to others are not affected.
    pub async fn stop(&self) {
        self.desk.stop().await;
    }

    /// Listens no more, at once: a later process of this host does. What runs goes on until its deadline and is
    /// answered. Calls to others are not affected.
    pub fn give_up(&self) {
        self.desk.stopped().cancel();
    }
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rpc").field("host", &self.endpoint.identity.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
