//! The provider. Needs no link values and keeps no state about links.

use std::sync::Arc;

use bytes::Bytes;
use wattle_provider_sdk::{LOGGING, NUMBERGEN, Settings, handle_logging, handle_numbergen};
use wattle_types::{
    BoxFuture, ContractId, Handover, LinkDefinition, LinkKey, Provider, ProviderCall, ProviderContext, ProviderError,
    ProviderFactory,
};

use crate::{HostLog, HostNumbers};

/// Logging and numbers in both dialects. Serves calls over any link, put or not: a host may make them up.
#[derive(Debug)]
pub struct Builtin {
    contracts: Vec<ContractId>,
    log: HostLog,
    /// Shared with the successor, so that the sequence goes on.
    numbers: Arc<HostNumbers>,
}

impl Builtin {
    /// Makes one; `predecessor` is what the generation before handed over.
    #[must_use]
    pub fn new(predecessor: Option<Handover>) -> Self {
        Self {
            contracts: LOGGING.ids().into_iter().chain(NUMBERGEN.ids()).collect(),
            log: HostLog,
            numbers: predecessor.and_then(Handover::take).unwrap_or_default(),
        }
    }

    fn answer(&self, call: &ProviderCall) -> Result<Bytes, ProviderError> {
        let LinkKey { actor, contract, .. } = &call.link.key;
        if let Some(dialect) = LOGGING.dialect(contract) {
            return handle_logging(&self.log, actor, dialect, &call.operation, &call.payload);
        }
        match NUMBERGEN.dialect(contract) {
            Some(dialect) => handle_numbergen(&*self.numbers, dialect, &call.operation, &call.payload),
            None => Err(not_served(contract)),
        }
    }
}

fn not_served(contract: &ContractId) -> ProviderError {
    ProviderError::BadConfig(format!("this provider does not serve {contract}"))
}

impl Provider for Builtin {
    fn contracts(&self) -> &[ContractId] {
        &self.contracts
    }

    fn put_link(&self, link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async move {
            if !self.contracts.contains(&link.key.contract) {
                return Err(not_served(&link.key.contract));
            }
            Settings::parse(&link.values, &[]).map(drop)
        })
    }

    fn delete_link<'a>(&'a self, _key: &'a LinkKey) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn handle(&self, call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>> {
        Box::pin(async move { self.answer(&call) })
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover::new(Arc::clone(&self.numbers)))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Makes it. Takes no configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltinFactory;

impl ProviderFactory for BuiltinFactory {
    fn create(
        &self,
        context: ProviderContext,
        predecessor: Option<Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async move {
            Settings::parse(&context.config, &[])?;
            Ok(Arc::new(Builtin::new(predecessor)) as Arc<dyn Provider>)
        })
    }
}
