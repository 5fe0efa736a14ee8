//! What all generations of one server share: its listening sockets and who serves what on them.
//!
//! Invariants: an address listens as long as it has a route; a new generation's route hides an older one's at the same
//! place, and leaves it there, so that a successor that fails takes nothing with it; changes happen under one lock that
//! is never held over an await, and that no request takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use wattle_types::{LinkKey, ProviderError};

use crate::{listener::Listener, router::Route, table::Table};

/// Sockets and routes of a server, over all its generations.
#[derive(Default)]
pub(crate) struct Front(Mutex<State>);

#[derive(Default)]
struct State {
    places: BTreeMap<SocketAddr, Place>,
    /// Listeners without routes whose connections are not all gone.
    closing: Vec<Arc<Listener>>,
    generations: BTreeSet<u64>,
    generation_last: u64,
}

struct Place {
    listener: Arc<Listener>,
    routes: Vec<Arc<Route>>,
}

/// One generation's part in a front; the front is closed when the last is dropped.
pub(crate) struct Lease {
    front: Arc<Front>,
    generation: u64,
}

impl Front {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic: a poisoned state is still a good one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Opens a new front.
    pub(crate) fn open() -> Self {
        Self::enter(Arc::default())
    }

    /// Takes part in the same front as a newer generation.
    pub(crate) fn successor(&self) -> Self {
        Self::enter(Arc::clone(&self.front))
    }

    fn enter(front: Arc<Front>) -> Self {
        let mut state = front.state();
        state.generation_last += 1;
        let generation = state.generation_last;
        state.generations.insert(generation);
        drop(state);
        Self { front, generation }
    }

    /// Returns this generation's number, larger than its predecessors'.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Adds a route, or replaces this generation's for the same link.
    ///
    /// # Errors
    /// [`ProviderError::BadConfig`] when another link has the place, [`ProviderError::BackendUnavailable`] when the
    /// address cannot be listened on or this generation has left. Nothing has changed then.
    pub(crate) async fn put(&self, route: Route, grace: Duration) -> Result<(), ProviderError> {
        self.address_free(route.settings.address).await;
        let closed = self.front.state().put(Arc::new(route))?;
        close(&closed, grace).await;
        Ok(())
    }

    /// Removes this generation's route for a link. Returns when an address without routes no longer listens.
    pub(crate) async fn delete(&self, key: &LinkKey, grace: Duration) {
        let mine = |route: &Route| route.generation == self.generation && route.key == *key;
        let closed = self.front.state().remove(mine);
        close(&closed, grace).await;
    }

    /// Leaves the front, and returns the listeners that now have nobody. If this was the last generation, its routes
    /// stay in place, so that connections are served until they are closed.
    pub(crate) fn leave(&self) -> Vec<Arc<Listener>> {
        let mut state = self.front.state();
        if !state.generations.remove(&self.generation) {
            return Vec::new();
        }
        if !state.generations.is_empty() {
            return state.remove(|route| route.generation == self.generation);
        }
        let places = std::mem::take(&mut state.places);
        places.into_values().map(|place| place.listener).chain(std::mem::take(&mut state.closing)).collect()
    }

    /// Returns each address asked for with the one that is listened on: they differ for port 0.
    pub(crate) fn addresses(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.front.state().places.iter().map(|(asked, place)| (*asked, place.listener.local_address())).collect()
    }

    /// Waits until a listener that closes at `address` has let go of it.
    async fn address_free(&self, address: SocketAddr) {
        let closing: Vec<_> =
            self.front.state().closing.iter().filter(|old| old.address() == address).cloned().collect();
        for listener in closing {
            listener.deaf().await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        for listener in self.leave() {
            listener.close(Duration::ZERO);
        }
    }
}

async fn close(listeners: &[Arc<Listener>], grace: Duration) {
    for listener in listeners {
        listener.close(grace);
        listener.deaf().await;
    }
}

impl State {
    fn put(&mut self, route: Arc<Route>) -> Result<Vec<Arc<Listener>>, ProviderError> {
        if !self.generations.contains(&route.generation) {
            // Nobody would ever close what is opened now.
            return Err(ProviderError::BackendUnavailable("the server is closing".into()));
        }
        let address = route.settings.address;
        let mine = |other: &Route| other.generation == route.generation && other.key == route.key;
        let mut routes = self.places.get(&address).map(|place| place.routes.clone()).unwrap_or_default();
        routes.retain(|other| !mine(other));
        for other in &routes {
            check_compatible(&route, other)?;
        }
        routes.push(Arc::clone(&route));
        let table = Table::new(&routes)?;
        match self.places.get_mut(&address) {
            Some(place) => {
                place.routes = routes;
                place.listener.publish(table);
            }
            None => {
                let listener = Listener::open(address, table)?;
                self.places.insert(address, Place { listener, routes });
            }
        }
        Ok(self.remove(|other| mine(other) && other.settings.address != address))
    }

    /// Removes routes, and returns the listeners left without any.
    fn remove(&mut self, unwanted: impl Fn(&Route) -> bool) -> Vec<Arc<Listener>> {
        let mut closed = Vec::new();
        self.places.retain(|_, place| {
            let before = place.routes.len();
            place.routes.retain(|route| !unwanted(route));
            if place.routes.len() != before {
                match Table::new(&place.routes) {
                    Ok(table) => place.listener.publish(table),
                    Err(error) => tracing::error!(%error, "an address keeps routes that are gone"),
                }
            }
            if place.routes.is_empty() {
                closed.push(Arc::clone(&place.listener));
            }
            !place.routes.is_empty()
        });
        self.closing.retain(|listener| !listener.is_closed());
        self.closing.extend(closed.iter().cloned());
        closed
    }
}

fn check_compatible(route: &Route, other: &Route) -> Result<(), ProviderError> {
    if other.key == route.key {
        return Ok(());
    }
    let address = route.settings.address;
    if route.same_place(other) {
        let host = route.settings.host.as_deref().unwrap_or("every host");
        return Err(ProviderError::BadConfig(format!(
            "actor {} already has {address} for {host} at {}: give another address, host or path",
            other.key.actor, route.settings.path
        )));
    }
    if route.certificate.is_some() != other.certificate.is_some() {
        let (with, without) = if other.certificate.is_some() { ("with", "too") } else { ("without", "for neither") };
        return Err(ProviderError::BadConfig(format!(
            "actor {} has {address} {with} TLS: give cert_file and key_file {without}, or another address",
            other.key.actor
        )));
    }
    Ok(())
}
