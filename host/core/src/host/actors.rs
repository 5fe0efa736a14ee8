//! Starting, replacing and stopping actors.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde_json::json;
use wattle_runtime::{Interrupt, ModuleImage};
use wattle_types::{
    ActorId,
    wascap::{VerifiedModule, verify_module},
};

use super::{Host, unix_now};
use crate::{
    actor::{ActorFacts, ActorModule, ActorSlot},
    admission::Admission,
    authz,
    error::HostError,
    fetch::fetch,
    inventory,
    slot::Generation,
    steps::Steps,
};

/// How long interrupted guests may take to notice: an epoch tick is a few milliseconds.
const INTERRUPT_GRACE: std::time::Duration = std::time::Duration::from_secs(1);

/// How to start an actor.
#[derive(Debug, Clone, Default)]
pub struct StartActor {
    /// Calls that may run at once; the host's default otherwise.
    pub max_in_flight: Option<usize>,
    /// Kept in the inventory.
    pub annotations: BTreeMap<String, String>,
    /// Where the module came from, for the inventory.
    pub reference: String,
}

impl Host {
    /// Reads the module a reference names and starts it.
    ///
    /// # Errors
    /// As [`Host::start_actor`], and [`HostError::Fetch`].
    pub async fn start_actor_from(
        &self,
        reference: &str,
        mut options: StartActor,
        steps: &Steps,
    ) -> Result<ActorId, HostError> {
        let module = fetch_module(reference, steps).await?;
        options.reference = reference.to_owned();
        self.start_actor(module, options, steps).await
    }

    /// Verifies, compiles and probes a signed module, and starts to serve it.
    ///
    /// # Errors
    /// Why it is refused: its claims, the engine, or because it runs already.
    pub async fn start_actor(&self, module: Bytes, options: StartActor, steps: &Steps) -> Result<ActorId, HostError> {
        let result = self.try_start_actor(module, &options, steps).await;
        if let Err(error) = &result {
            let data = json!({ "host_id": self.id(), "image_ref": options.reference, "error": error.to_string() });
            self.0.events.announce("component_scale_failed", data);
        }
        result
    }

    async fn try_start_actor(&self, module: Bytes, options: &StartActor, steps: &Steps) -> Result<ActorId, HostError> {
        self.check_accepting()?;
        let verified = self.verify(module, steps).await?;
        let facts = facts(&verified)?;
        let id = facts.id;
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        if self.state().actors.contains_key(&id) {
            return Err(HostError::ActorRunning { actor: id });
        }
        self.check_alias(&facts)?;
        let module = self.prepare(&verified, facts.clone(), options.reference.clone(), steps).await?;
        let max_running = options.max_in_flight.unwrap_or(self.0.config.max_in_flight);
        let admission = Admission::new(max_running, self.0.config.max_queued);
        let slot = ActorSlot::new(module, admission, options.annotations.clone());
        self.change_open(|state| {
            authz::check_alias(&facts, state.holder_of(&facts))?;
            state.actors.insert(id, slot.clone());
            Ok(())
        })?;
        steps.done("published", "generation 1 takes calls");
        self.0.events.announce("component_scaled", inventory::component_scaled(self, &slot));
        Ok(id)
    }

    /// Reads the module a reference names and replaces a running actor's with it.
    ///
    /// # Errors
    /// As [`Host::update_actor`], and [`HostError::Fetch`].
    pub async fn update_actor_from(
        &self,
        id: ActorId,
        reference: &str,
        force: bool,
        steps: &Steps,
    ) -> Result<(), HostError> {
        let module = fetch_module(reference, steps).await?;
        self.update_actor(id, module, reference, force, steps).await
    }

    /// Replaces a running actor's module, live: verify, compile, probe, publish, drain the old one.
    ///
    /// Calls in flight finish in the old module. Any failure before it is published leaves the old one serving.
    ///
    /// # Errors
    /// Why it is refused: its claims, another subject, a lower revision without `force`, or the engine.
    pub async fn update_actor(
        &self,
        id: ActorId,
        module: Bytes,
        reference: &str,
        force: bool,
        steps: &Steps,
    ) -> Result<(), HostError> {
        let result = self.try_update_actor(id, module, reference, force, steps).await;
        if let Err(error) = &result {
            let data = json!({
                "host_id": self.id(), "component_id": id, "image_ref": reference, "error": error.to_string()
            });
            self.0.events.announce("component_scale_failed", data);
        }
        result
    }

    async fn try_update_actor(
        &self,
        id: ActorId,
        module: Bytes,
        reference: &str,
        force: bool,
        steps: &Steps,
    ) -> Result<(), HostError> {
        self.check_accepting()?;
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        let slot = self.actor_slot(id)?;
        let verified = self.verify(module, steps).await?;
        let facts = facts(&verified)?;
        authz::check_update(&slot.slot.current().facts, &facts, force)?;
        self.check_alias(&facts)?;
        let module = self.prepare(&verified, facts.clone(), reference.to_owned(), steps).await?;
        let old = self.change_open(|state| {
            authz::check_alias(&facts, state.holder_of(&facts))?;
            Ok(slot.slot.publish(module))
        })?;
        steps.done("published", format!("generation {} takes calls", old.number() + 1));
        self.0.events.announce("component_scaled", inventory::component_scaled(self, &slot));
        self.drain_module(&old, steps).await;
        Ok(())
    }

    /// Changes how many calls of an actor may run at once.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`].
    pub fn resize_actor(&self, id: ActorId, max_in_flight: usize) -> Result<(), HostError> {
        let slot = self.actor_slot(id)?;
        slot.admission.store(Arc::new(Admission::new(max_in_flight, self.0.config.max_queued)));
        self.0.events.announce("component_scaled", inventory::component_scaled(self, &slot));
        Ok(())
    }

    /// Stops an actor after its calls in flight. Its links stay.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`].
    pub async fn stop_actor(&self, id: ActorId, steps: &Steps) -> Result<(), HostError> {
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        let slot = self.actor_slot(id)?;
        self.change(|state| state.actors.remove(&id));
        steps.done("unpublished", "new calls are refused");
        self.drain_module(&slot.slot.current(), steps).await;
        self.0.events.announce("component_scaled", inventory::component_stopped(self, &slot));
        Ok(())
    }

    /// Waits for the calls inside a module, then interrupts those that are left.
    pub(super) async fn drain_module(&self, module: &Generation<ActorModule>, steps: &Steps) {
        let drained = module.drain(self.drain_timeout()).await;
        if drained.left > 0 {
            module.interrupt.trigger();
            module.drain(INTERRUPT_GRACE).await;
        }
        let finished = drained.found.saturating_sub(drained.left);
        steps.done("drained", format!("{finished} in flight finished, {} interrupted", drained.left));
    }

    fn check_alias(&self, facts: &ActorFacts) -> Result<(), HostError> {
        authz::check_alias(facts, self.state().holder_of(facts))
    }

    pub(crate) fn actor_slot(&self, id: ActorId) -> Result<Arc<ActorSlot>, HostError> {
        let slot = self.state().actors.get(&id).cloned();
        slot.ok_or_else(|| HostError::ActorNotFound { target: id.to_string() })
    }

    async fn verify(&self, module: Bytes, steps: &Steps) -> Result<VerifiedModule, HostError> {
        let inner = self.0.clone();
        let verified = tokio::task::spawn_blocking(move || verify_module(&*module, unix_now(), &inner.trust));
        let verified = verified.await.map_err(|error| HostError::Internal(error.to_string()))??;
        steps.done("verified", format!("issuer {}", verified.issuer()));
        Ok(verified)
    }

    async fn prepare(
        &self,
        verified: &VerifiedModule,
        facts: ActorFacts,
        reference: String,
        steps: &Steps,
    ) -> Result<ActorModule, HostError> {
        let image = ModuleImage { hash: *verified.hash().as_bytes(), wasm: verified.bytes() };
        let told = steps.clone();
        let report = move |step: wattle_runtime::PrepareStep| told.done(step.name(), step.to_string());
        let prepared = self.0.engine.prepare(image, self.0.config.limits.clone(), report).await?;
        Ok(ActorModule { facts, reference, prepared, interrupt: Interrupt::default() })
    }
}

async fn fetch_module(reference: &str, steps: &Steps) -> Result<Bytes, HostError> {
    let module = fetch(reference).await?;
    steps.done("fetched", format!("{} bytes", module.len()));
    Ok(module)
}

fn facts(verified: &VerifiedModule) -> Result<ActorFacts, HostError> {
    Ok(ActorFacts {
        id: verified.actor_id().try_into()?,
        issuer: verified.issuer().try_into()?,
        name: verified.name().map(ToOwned::to_owned),
        // Claims without a revision come before all that have one.
        revision: verified.revision().unwrap_or(0),
        version: verified.version().map(ToOwned::to_owned),
        call_alias: verified.call_alias().map(ToOwned::to_owned),
        capabilities: verified.capabilities().iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
    })
}
