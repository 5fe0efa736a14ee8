//! The hot path: from a caller to its target, on this host if it runs here, otherwise over the lattice.
//!
//! One look-up in the routing snapshot, no lock. Every refusal is an [`InvokeError`] that names what is missing.

mod guest_calls;
mod target;

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use wattle_lattice::{
    node::Node,
    rpc::{Origin, RemoteCall, Target as RemoteTarget},
};
use wattle_runtime::{GuestCall, HostCall};
use wattle_types::{
    ActorId, ActorInvoker, BoxFuture, CallContext, ContractId, InvokeError, LinkKey, MAX_CALL_DEPTH, ProviderCall,
    ProviderId,
};

use crate::{
    actor::{ActorFacts, ActorModule, ActorSlot},
    admission::Refusal,
    load::Counting,
    observe::{Observed, Observer},
    provider::RunningProvider,
    routes::{LinkRoute, Routes},
    slot::Inside,
};
use guest_calls::GuestCalls;
use target::{ActorPlace, Target, not_here};

/// Finds targets and carries calls to them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dispatcher(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    routes: ArcSwap<Routes>,
    observer: Observer,
    draining: AtomicBool,
    counting: Counting,
    /// The way to other hosts, if there are any.
    node: OnceLock<Node>,
}

impl Dispatcher {
    /// Returns the current routes.
    pub(crate) fn routes(&self) -> arc_swap::Guard<Arc<Routes>> {
        self.0.routes.load()
    }

    /// Replaces the routes for all calls that start from now on.
    pub(crate) fn publish(&self, routes: Routes) {
        self.0.routes.store(Arc::new(routes));
    }

    /// Returns who watches invocations.
    pub(crate) fn observer(&self) -> &Observer {
        &self.0.observer
    }

    /// Returns whether calls are counted, and since when nobody asked.
    pub(crate) fn counting(&self) -> &Counting {
        &self.0.counting
    }

    /// Sets the way to other hosts, once.
    pub(crate) fn connect(&self, node: Node) {
        // A host joins one lattice only, before it takes calls.
        let _ = self.0.node.set(node);
    }

    /// Refuses calls from outside from now on; those of providers and actors still go through.
    pub(crate) fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Calls an actor, by id or call alias, for somebody outside the lattice.
    pub(crate) async fn call_from_outside(
        &self,
        target: &str,
        operation: &str,
        payload: Bytes,
        context: CallContext,
    ) -> Result<Bytes, InvokeError> {
        if self.0.draining.load(Ordering::Acquire) {
            return Err(InvokeError::Draining);
        }
        match self.find_actor(target)? {
            ActorPlace::Here(slot) => {
                let call = ActorCall { origin: "host", contract: None, operation, payload, context };
                self.call_actor_or_elsewhere(&slot, call, Origin::Host, None).await
            }
            ActorPlace::Elsewhere(actor) => {
                let target = RemoteTarget::Actor { actor, link: None };
                self.call_elsewhere(Origin::Host, target, operation, payload, context).await
            }
        }
    }

    /// Calls the actor of a link, for the provider that serves it.
    async fn call_from_provider(
        &self,
        provider: &ProviderId,
        link: &LinkKey,
        operation: &str,
        payload: Bytes,
        context: CallContext,
    ) -> Result<Bytes, InvokeError> {
        let slot = {
            let routes = self.routes();
            match routes.link_by_key(link) {
                Some(route) if route.link.provider == *provider => {}
                _ => return Err(InvokeError::LinkNotFound { link: link.clone() }),
            }
            routes.actors.get(&link.actor).cloned()
        };
        let Some(slot) = slot else {
            let target = RemoteTarget::Actor { actor: link.actor, link: Some(link.clone()) };
            return self.call_elsewhere(Origin::Provider(provider.clone()), target, operation, payload, context).await;
        };
        let contract = Some(&link.contract);
        let call = ActorCall { origin: provider.as_str(), contract, operation, payload, context };
        self.call_actor_or_elsewhere(&slot, call, Origin::Provider(provider.clone()), Some(link)).await
    }

    /// Carries a call an actor makes: to a provider over a link, or to another actor.
    async fn call_from_actor(
        &self,
        origin: &ActorFacts,
        call: HostCall<'_>,
        context: &CallContext,
    ) -> Result<Bytes, InvokeError> {
        let context = context.nested().ok_or(InvokeError::CallDepthExceeded { limit: MAX_CALL_DEPTH })?;
        match self.resolve(origin, call.binding, call.namespace)? {
            Target::Provider(route) => {
                self.call_provider(&origin.id, route, call.operation, call.payload, context).await
            }
            Target::Actor(ActorPlace::Elsewhere(actor)) => {
                let target = RemoteTarget::Actor { actor, link: None };
                self.call_elsewhere(Origin::Actor(origin.id), target, call.operation, call.payload, context).await
            }
            Target::Actor(ActorPlace::Here(slot)) => {
                let (origin_id, origin, operation) = (origin.id, &origin.id.to_string(), call.operation);
                let call = ActorCall { origin, contract: None, operation, payload: call.payload, context };
                self.call_actor_or_elsewhere(&slot, call, Origin::Actor(origin_id), None).await
            }
        }
    }

    /// Calls an actor here; if it was stopped before the call's turn came, on another host.
    async fn call_actor_or_elsewhere(
        &self,
        slot: &ActorSlot,
        call: ActorCall<'_>,
        origin: Origin,
        link: Option<&LinkKey>,
    ) -> Result<Bytes, InvokeError> {
        let (operation, payload, context) = (call.operation, call.payload.clone(), call.context.clone());
        match self.call_actor(slot, call).await {
            // Only the closed slot says so: what the actor itself did not find is an error of the actor.
            Err(InvokeError::ActorNotFound { target }) if self.0.node.get().is_some() => {
                let moved = RemoteTarget::Actor { actor: slot.id, link: link.cloned() };
                match self.call_elsewhere(origin, moved, operation, payload, context).await {
                    Err(InvokeError::ActorNotFound { .. }) => Err(InvokeError::ActorNotFound { target }),
                    result => result,
                }
            }
            result => result,
        }
    }

    /// Calls what does not run here.
    async fn call_elsewhere(
        &self,
        origin: Origin,
        target: RemoteTarget,
        operation: &str,
        payload: Bytes,
        context: CallContext,
    ) -> Result<Bytes, InvokeError> {
        let Some(node) = self.0.node.get() else { return Err(not_here(&target)) };
        let repeatable = context.repeatable || node.is_repeatable(&target, operation);
        node.call(RemoteCall { origin, target, operation: operation.to_owned(), payload, context }, repeatable).await
    }

    /// Carries out a call of another host, here or not at all.
    pub(crate) async fn call_from_elsewhere(&self, call: RemoteCall) -> Result<Bytes, InvokeError> {
        // What belongs to a call that was taken before is carried through.
        if self.0.draining.load(Ordering::Acquire) && call.context.depth == 0 {
            return Err(InvokeError::Draining);
        }
        let RemoteCall { origin, target, operation, payload, context } = call;
        match (origin, target) {
            (Origin::Actor(origin), RemoteTarget::Provider { link, provider }) if link.actor == origin => {
                let route = self.route_of(&link, &provider)?;
                let entered = Entered { inside: route.enter(), route };
                self.call_provider_here(&origin, entered, &operation, payload, context).await
            }
            (Origin::Provider(origin), RemoteTarget::Actor { actor, link: Some(link) }) if link.actor == actor => {
                self.route_of(&link, &origin)?;
                let slot = self.actor_here(&actor)?;
                let contract = Some(&link.contract);
                let call = ActorCall { origin: origin.as_str(), contract, operation: &operation, payload, context };
                self.call_actor(&slot, call).await
            }
            (origin @ (Origin::Actor(_) | Origin::Host), RemoteTarget::Actor { actor, link: None }) => {
                let slot = self.actor_here(&actor)?;
                let origin = match origin {
                    Origin::Actor(actor) => actor.to_string(),
                    Origin::Provider(_) | Origin::Host => "host".to_owned(),
                };
                let call = ActorCall { origin: &origin, contract: None, operation: &operation, payload, context };
                self.call_actor(&slot, call).await
            }
            (_, target) => Err(not_here(&target)),
        }
    }

    async fn call_actor(&self, slot: &ActorSlot, call: ActorCall<'_>) -> Result<Bytes, InvokeError> {
        let (origin, contract, operation) = (call.origin, call.contract, call.operation);
        let watch = self.0.observer.start(call.payload.len());
        let result = self.run_actor(slot, call).await;
        if let Some(watch) = watch {
            let target = slot.id.to_string();
            let seen = Observed { origin, target: &target, contract, operation };
            self.0.observer.finish(watch, seen, result.as_ref());
        }
        result
    }

    async fn run_actor(&self, slot: &ActorSlot, call: ActorCall<'_>) -> Result<Bytes, InvokeError> {
        let admission = slot.admission.load_full();
        let _place = admission.admit(call.context.deadline).await.map_err(|refusal| match refusal {
            Refusal::Full { limit } => InvokeError::Overloaded { target: format!("actor {}", slot.id), limit },
            Refusal::TooLate => InvokeError::DeadlineExceeded { target: format!("actor {}", slot.id) },
        })?;
        let stopped = || InvokeError::ActorNotFound { target: slot.id.to_string() };
        let inside = slot.slot.enter().ok_or_else(stopped)?;
        inside.validity.check(|| format!("actor {}", slot.id))?;
        if let Some(contract) = call.contract.filter(|contract| !inside.facts.claims(contract.as_str())) {
            return Err(inside.facts.not_claimed(contract.clone()));
        }
        let (metered, counted) = (slot.metered.load(Ordering::Relaxed), self.0.counting.is_on());
        if !metered && !counted {
            return self.run_guest(inside, call.operation, call.payload, call.context).await;
        }
        let (begun, generation) = (now(), inside.generation().clone());
        let result = self.run_guest(inside, call.operation, call.payload, call.context).await;
        let took = now().saturating_duration_since(begun);
        if metered {
            generation.meter.record(took, result.is_err());
        }
        if counted {
            slot.counted.record(took, result.is_err());
        }
        result
    }

    async fn run_guest(
        &self,
        inside: Inside<ActorModule>,
        operation: &str,
        payload: Bytes,
        context: CallContext,
    ) -> Result<Bytes, InvokeError> {
        #[cfg(feature = "planted-copy")]
        let payload = Bytes::copy_from_slice(&payload);
        let deadline = context.deadline;
        let generation = inside.generation().clone();
        let calls = Arc::new(GuestCalls { dispatcher: self.clone(), inside, context, last_failure: Mutex::default() });
        let call = GuestCall { operation, payload, deadline, interrupt: &generation.interrupt };
        let result = generation.prepared.call(call, calls.clone()).await;
        result.map_err(|error| calls.explain(error))
    }

    /// Calls a provider over a link: here, or elsewhere when it does not run here, or was stopped in this moment.
    async fn call_provider(
        &self,
        origin: &ActorId,
        route: LinkRoute,
        operation: &str,
        payload: Bytes,
        context: CallContext,
    ) -> Result<Bytes, InvokeError> {
        let target = || RemoteTarget::Provider { link: route.link.key.clone(), provider: route.link.provider.clone() };
        match (route.enter(), self.0.node.get()) {
            (None, Some(node)) if node.can_reach(&target()) => {
                self.call_elsewhere(Origin::Actor(*origin), target(), operation, payload, context).await
            }
            (inside, _) => {
                self.call_provider_here(origin, Entered { route, inside }, operation, payload, context).await
            }
        }
    }

    async fn call_provider_here(
        &self,
        origin: &ActorId,
        Entered { route, inside }: Entered,
        operation: &str,
        payload: Bytes,
        context: CallContext,
    ) -> Result<Bytes, InvokeError> {
        let watch = self.0.observer.start(payload.len());
        let counted = route.provider.as_ref().filter(|_| self.0.counting.is_on()).map(|slot| (slot, now()));
        let result = run_provider(&route, inside, operation, payload, context).await;
        if let Some((slot, begun)) = counted {
            slot.counted.record(now().saturating_duration_since(begun), result.is_err());
        }
        if let Some(watch) = watch {
            let (origin, contract) = (origin.to_string(), Some(&route.link.key.contract));
            let seen = Observed { origin: &origin, target: route.link.provider.as_str(), contract, operation };
            self.0.observer.finish(watch, seen, result.as_ref());
        }
        result
    }
}

async fn run_provider(
    route: &LinkRoute,
    inside: Option<Inside<RunningProvider>>,
    operation: &str,
    payload: Bytes,
    context: CallContext,
) -> Result<Bytes, InvokeError> {
    let link = &route.link;
    let inside = inside
        .ok_or_else(|| InvokeError::ProviderUnavailable { link: link.key.clone(), provider: link.provider.clone() })?;
    inside.validity.check(|| format!("provider {}", link.provider))?;
    let call = ProviderCall { link: link.clone(), operation: operation.into(), payload, context };
    inside.provider.handle(call).await.map_err(|error| InvokeError::ProviderFailed {
        link: link.key.clone(),
        provider: link.provider.clone(),
        operation: operation.to_owned(),
        error,
    })
}

/// A link, and its provider, which does not stop meanwhile, if it runs here.
struct Entered {
    route: LinkRoute,
    inside: Option<Inside<RunningProvider>>,
}

/// A call to an actor.
struct ActorCall<'a> {
    /// Who calls: an actor, a provider, or `host`.
    origin: &'a str,
    /// The contract it is called by, which its claims must then name.
    contract: Option<&'a ContractId>,
    operation: &'a str,
    payload: Bytes,
    context: CallContext,
}

/// A provider's way to the actors linked to it.
#[derive(Debug)]
pub(crate) struct ProviderGate {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) provider: ProviderId,
}

impl ActorInvoker for ProviderGate {
    fn invoke<'a>(
        &'a self,
        link: &'a LinkKey,
        operation: &'a str,
        payload: Bytes,
        context: CallContext,
    ) -> BoxFuture<'a, Result<Bytes, InvokeError>> {
        Box::pin(self.dispatcher.call_from_provider(&self.provider, link, operation, payload, context))
    }
}

/// Returns the time, for measuring; the one place the hot path reads the clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
