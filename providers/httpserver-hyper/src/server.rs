//! The provider: one generation of the HTTP server.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio_util::{sync::DropGuard, task::TaskTracker};
use wattle_provider_sdk::{HTTP_SERVER, HttpCodec};
use wattle_types::{
    BoxFuture, ContractId, Handover, LinkDefinition, LinkKey, Provider, ProviderCall, ProviderContext, ProviderError,
    ProviderFactory,
};

use crate::{
    budget::Budget,
    front::Lease,
    router::Route,
    settings::{LinkSettings, ServerSettings},
    tls,
};

/// One generation of the HTTP server.
///
/// It serves its links from [`Provider::put_link`] on; over its predecessor's sockets and connections, if it has one.
/// [`Provider::quiesce`] waits for its requests; only the last generation closes sockets and connections.
pub struct HttpServer {
    contracts: Vec<ContractId>,
    context: ProviderContext,
    settings: ServerSettings,
    lease: Lease,
    bodies: Arc<Budget>,
    answers: Arc<Budget>,
    in_flight: TaskTracker,
}

impl HttpServer {
    /// Makes a server without links, the successor of another if that handed something over.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] for configuration it cannot use.
    pub fn new(context: ProviderContext, predecessor: Option<Handover>) -> Result<Self, ProviderError> {
        let settings = ServerSettings::parse(&context)?;
        let lease = predecessor.and_then(Handover::take::<Lease>).unwrap_or_else(Lease::open);
        let bodies = Budget::new(settings.max_buffered_bytes);
        let answers = Budget::new(settings.max_unread_bytes);
        let in_flight = TaskTracker::new();
        Ok(Self { contracts: HTTP_SERVER.ids(), context, settings, lease, bodies, answers, in_flight })
    }

    /// Returns each address its links name, with the one that is listened on; they differ for port 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.lease.addresses()
    }

    async fn put(&self, link: &LinkDefinition) -> Result<(), ProviderError> {
        let codec = HttpCodec::for_contract(&link.key.contract).ok_or_else(|| {
            ProviderError::BadConfig(format!("{} is not a contract of the HTTP server", link.key.contract))
        })?;
        let settings = self.settings.link(link)?;
        let route = self.route(link, settings, codec).await?;
        self.lease.put(route, self.settings.drain_grace).await
    }

    async fn route(
        &self,
        link: &LinkDefinition,
        settings: LinkSettings,
        codec: HttpCodec,
    ) -> Result<Route, ProviderError> {
        let certificate = match &settings.tls {
            Some(files) => Some(tls::load(files).await?),
            None => None,
        };
        Ok(Route {
            generation: self.lease.generation(),
            provider: self.context.id.clone(),
            key: link.key.clone(),
            settings,
            certificate,
            codec,
            actors: Arc::clone(&self.context.actors),
            bodies: Arc::clone(&self.bodies),
            answers: Arc::clone(&self.answers),
            in_flight: self.in_flight.clone(),
        })
    }

    /// Gives up this generation's routes and waits for its requests. Calling it again changes nothing.
    async fn close(&self) {
        let listeners = self.lease.leave();
        // Should the host give up waiting, nothing is left behind.
        let _killed: Vec<DropGuard> = listeners.iter().map(|listener| listener.kill().clone().drop_guard()).collect();
        for listener in &listeners {
            listener.close(self.settings.drain_grace);
        }
        for listener in &listeners {
            listener.closed().await;
        }
        self.in_flight.close();
        self.in_flight.wait().await;
    }
}

impl Provider for HttpServer {
    fn contracts(&self) -> &[ContractId] {
        &self.contracts
    }

    fn put_link(&self, link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move { self.put(&link).await })
    }

    fn delete_link<'a>(&'a self, key: &'a LinkKey) -> BoxFuture<'a, ()> {
        Box::pin(self.lease.delete(key, self.settings.drain_grace))
    }

    fn handle(&self, call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>> {
        // Calls go from here to actors. The contract has no operation in the other direction.
        Box::pin(async move {
            Err(ProviderError::UnknownOperation {
                contract: call.link.key.contract.to_string(),
                operation: call.operation.chars().take(80).collect(),
            })
        })
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover::new(self.lease.successor()))
    }

    fn quiesce(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close())
    }
}

/// Makes HTTP servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpServerFactory;

impl ProviderFactory for HttpServerFactory {
    fn create(
        &self,
        context: ProviderContext,
        predecessor: Option<Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async move {
            let server: Arc<dyn Provider> = Arc::new(HttpServer::new(context, predecessor)?);
            Ok(server)
        })
    }
}
