//! A provider whose work is done by a process.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattle_types::{BoxFuture, ContractId, Handover, LinkDefinition, LinkKey, Provider, ProviderCall, ProviderError};

use super::{channel::Channel, doors::Identity, supervisor::Status};

/// What a generation leaves to the next: the number that tells their subjects apart.
pub(super) struct NextGeneration(pub(super) u64);

/// One generation of it: one process at a time, started again when it ends by itself.
pub(super) struct ProcessProvider {
    pub(super) contracts: Vec<ContractId>,
    pub(super) generation: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// What calls and the supervisor have in common.
pub(super) struct Shared {
    pub(super) channel: Channel,
    pub(super) identity: Arc<Identity>,
    pub(super) status: watch::Sender<Status>,
    /// What the process is to know. Held while it is told, so that it is told in order.
    pub(super) links: tokio::sync::Mutex<Vec<Known>>,
}

/// A link of a process.
pub(super) struct Known {
    link: Arc<LinkDefinition>,
    /// Whether the process surely has it so. Otherwise, something went wrong as it was told, and it is told again.
    is_certain: bool,
}

impl Shared {
    fn check_up(&self) -> Result<(), ProviderError> {
        match &*self.status.borrow() {
            Status::Up => Ok(()),
            Status::Down(reason) => Err(ProviderError::BackendUnavailable(reason.clone())),
        }
    }

    async fn put_link(&self, link: Arc<LinkDefinition>) -> Result<(), ProviderError> {
        let mut links = self.links.lock().await;
        let known = links.iter_mut().find(|known| known.link.key.actor == link.key.actor);
        if let Some(known) = &known {
            if known.is_certain && *known.link == *link {
                return Ok(());
            }
            check_only_link(&known.link, &link)?;
        }
        self.doors().open(&link.key, &self.identity).await.map_err(super::channel::bus_error)?;
        // Whatever ends this before its end, the next who puts a link begins with taking this one back.
        let before = known.map(|known| {
            known.is_certain = false;
            known.link.clone()
        });
        if before.is_none() {
            links.push(Known { link: link.clone(), is_certain: false });
        }
        if self.check_up().is_ok() {
            if let Some(before) = before {
                // A second put would be ignored.
                self.channel.delete_link(&before).await?;
            }
            self.channel.put_link(&link).await?;
        }
        links.retain(|known| known.link.key != link.key);
        links.push(Known { link, is_certain: true });
        Ok(())
    }

    async fn delete_link(&self, key: &LinkKey) {
        let mut links = self.links.lock().await;
        let Some(at) = links.iter().position(|known| known.link.key == *key) else { return };
        let Known { link, .. } = links.swap_remove(at);
        self.doors().close(key, &self.identity).await;
        if self.check_up().is_ok()
            && let Err(error) = self.channel.delete_link(&link).await
        {
            tracing::warn!(provider = %self.channel.key, %error, "a provider's process was not told that a link is gone");
        }
    }

    /// Tells a new process all links.
    pub(super) async fn replay_links(&self) -> Result<(), ProviderError> {
        let mut links = self.links.lock().await;
        for known in links.iter_mut() {
            self.channel.put_link(&known.link).await?;
            known.is_certain = true;
        }
        // While the lock is held: a link put in this moment is either in the list above or sent afterwards.
        self.status.send_replace(Status::Up);
        Ok(())
    }

    /// Lets the process call nobody any more.
    pub(super) async fn close_doors(&self) {
        for known in self.links.lock().await.drain(..) {
            self.doors().close(&known.link.key, &self.identity).await;
        }
    }

    fn doors(&self) -> &super::doors::Doors {
        &self.channel.processes.doors
    }
}

/// Waits until the process is down: what it was asked before will not be answered.
async fn down(status: &mut watch::Receiver<Status>) -> String {
    match status.wait_for(|status| matches!(status, Status::Down(_))).await.as_deref() {
        Ok(Status::Down(reason)) => reason.clone(),
        Ok(Status::Up) | Err(_) => "the provider was stopped".into(),
    }
}

/// A process knows its links by actor alone.
fn check_only_link(known: &LinkDefinition, link: &LinkDefinition) -> Result<(), ProviderError> {
    if known.key == link.key {
        return Ok(());
    }
    Err(ProviderError::BadConfig(format!(
        "a provider process keeps one link for each actor, and actor {} is linked to it as {:?} for {}",
        known.key.actor,
        known.key.link_name.as_str(),
        known.key.contract
    )))
}

impl Provider for ProcessProvider {
    fn contracts(&self) -> &[ContractId] {
        &self.contracts
    }

    fn put_link(&self, link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(self.shared.put_link(link))
    }

    fn delete_link<'a>(&'a self, key: &'a LinkKey) -> BoxFuture<'a, ()> {
        Box::pin(self.shared.delete_link(key))
    }

    fn handle(&self, call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>> {
        Box::pin(async move {
            let mut status = self.shared.status.subscribe();
            self.shared.check_up()?;
            tokio::select! {
                biased;
                result = self.shared.channel.invoke(&call) => result,
                reason = down(&mut status) => Err(ProviderError::BackendUnavailable(reason)),
            }
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async {
            self.shared.check_up()?;
            self.shared.channel.health().await
        })
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover::new(NextGeneration(self.generation.saturating_add(1))))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
        })
    }
}

impl Drop for ProcessProvider {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
