//! What the connections of one address work with: an immutable snapshot.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use wattle_types::ProviderError;

use crate::{
    router::{Route, Router},
    settings::ConnectionLimits,
    tls,
};

/// Routes, certificates and limits of an address at one moment.
pub(crate) struct Table {
    pub(crate) router: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Of the connections accepted while this table holds; `None` once the last route is gone.
    pub(crate) limits: Option<ConnectionLimits>,
}

impl Table {
    /// Makes the table of `routes`.
    ///
    /// # Errors
    /// As [`tls::acceptor`].
    pub(crate) fn new(routes: &[Arc<Route>]) -> Result<Self, ProviderError> {
        let newest = routes.iter().map(|route| route.generation).max();
        let counting = routes.iter().filter(|route| Some(route.generation) == newest);
        Ok(Self {
            router: Router::new(routes),
            tls: tls::acceptor(routes)?,
            limits: counting.map(|route| route.settings.limits).reduce(ConnectionLimits::widest),
        })
    }
}
