//! Starting, replacing and stopping actors.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use wattle_types::{ActorId, ActorName, control::Measurement};

use super::{Host, modules::Module};
use crate::{
    actor::{ActorFacts, ActorModule, ActorSlot},
    admission::Admission,
    authz,
    error::HostError,
    inventory,
    slot::Generation,
    steps::Steps,
};

/// How long interrupted guests may take to notice: an epoch tick is a few milliseconds.
const INTERRUPT_GRACE: Duration = Duration::from_secs(1);

/// How to start an actor.
#[derive(Debug, Clone, Default)]
pub struct StartActor {
    /// Calls that may run at once; the host's default otherwise.
    pub max_in_flight: Option<usize>,
    /// Kept in the inventory.
    pub annotations: BTreeMap<String, String>,
    /// Started because it is declared: whoever keeps declarations may move and stop it.
    pub declared: bool,
    /// Who it must be: a module of another actor is refused, and if it runs already it is only resized.
    pub expected: Option<ActorId>,
    /// What it is to be called in the lattice; if it runs already it is only resized.
    pub name: Option<ActorName>,
    /// Where the module came from, for the inventory.
    pub reference: String,
}

/// How many calls of an actor may run at once from now on, and what stands in the inventory.
#[derive(Debug, Clone)]
pub(crate) struct Rescale {
    pub(crate) max_in_flight: usize,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// How to replace a running actor's module.
#[derive(Debug)]
pub(crate) struct UpdateActor {
    /// Accept a lower revision.
    pub(crate) force: bool,
    /// What else changes at that moment, and only if the module is replaced.
    pub(crate) rescale: Option<Rescale>,
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
        options.reference = reference.to_owned();
        let result = match self.fetch_module(reference, steps).await {
            Ok(module) => self.try_start_actor(module, &options, steps).await,
            Err(error) => Err(error),
        };
        result.map_err(|error| self.start_failed(&options, error))
    }

    /// Verifies, compiles and probes a signed module, and starts to serve it.
    ///
    /// # Errors
    /// Why it is refused: its claims, the engine, or because it runs already.
    pub async fn start_actor(&self, module: Bytes, options: StartActor, steps: &Steps) -> Result<ActorId, HostError> {
        let module = Module::of(module, &options.reference);
        let result = self.try_start_actor(module, &options, steps).await;
        result.map_err(|error| self.start_failed(&options, error))
    }

    /// Tells that an actor was not started.
    fn start_failed(&self, options: &StartActor, error: HostError) -> HostError {
        let failure = inventory::ScaleFailure {
            actor: options.expected,
            component_id: options.name.as_ref().map(ToString::to_string).or(options.expected.map(|id| id.to_string())),
            reference: &options.reference,
            annotations: &options.annotations,
            max_instances: options.max_in_flight.unwrap_or(self.0.config.max_in_flight),
        };
        self.actor_not_scaled(&failure, &error.to_string());
        error
    }

    /// Tells that an actor does not run as it was asked to, and why.
    pub(crate) fn actor_not_scaled(&self, failure: &inventory::ScaleFailure<'_>, why: &str) {
        self.0.events.announce("component_scale_failed", failure.told(self, why));
    }

    async fn try_start_actor(&self, module: Module, options: &StartActor, steps: &Steps) -> Result<ActorId, HostError> {
        self.check_accepting()?;
        let verified = self.verify(module, steps).await?;
        let id = verified.facts().id;
        if let Some(running) = options.expected.filter(|expected| *expected != id) {
            return Err(HostError::SubjectChanged { running, found: id });
        }
        let max_running = options.max_in_flight.unwrap_or(self.0.config.max_in_flight);
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        if let Some(name) = &options.name {
            self.name_actor(name, id).await?;
        }
        if self.state().actors.get(&id).is_some() {
            if options.expected.is_none() && options.name.is_none() {
                return Err(HostError::ActorRunning { actor: id });
            }
            let rescale = Rescale { max_in_flight: max_running, annotations: options.annotations.clone() };
            return self.rescale_actor(id, rescale).map(|()| id);
        }
        self.check_alias(verified.facts())?;
        let module = self.prepare(verified, steps).await?;
        let facts = module.facts.clone();
        let admission = Admission::new(max_running, self.0.config.max_queued);
        let slot = ActorSlot::new(module, admission, options.annotations.clone(), options.declared);
        self.change_open(|state| {
            authz::check_alias(&facts, state.holder_of(&facts))?;
            state.actors.insert(id, slot.clone());
            Ok(())
        })?;
        steps.done("published", "generation 1 takes calls");
        self.tell_claims(id);
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
        self.update_and_rescale_actor(id, reference, UpdateActor { force, rescale: None }, steps).await
    }

    /// Does the same, and changes with the version how many of its calls may run at once and who asked for it.
    pub(crate) async fn update_and_rescale_actor(
        &self,
        id: ActorId,
        reference: &str,
        options: UpdateActor,
        steps: &Steps,
    ) -> Result<(), HostError> {
        let result = match self.fetch_module(reference, steps).await {
            Ok(module) => self.try_update_actor(id, module, &options, steps).await,
            Err(error) => Err(error),
        };
        result.map_err(|error| self.update_failed(id, reference, options.rescale, error))
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
        let options = UpdateActor { force, rescale: None };
        let result = self.try_update_actor(id, Module::of(module, reference), &options, steps).await;
        result.map_err(|error| self.update_failed(id, reference, None, error))
    }

    /// Tells that an actor was not updated.
    fn update_failed(&self, id: ActorId, reference: &str, rescale: Option<Rescale>, error: HostError) -> HostError {
        let slot = self.actor_slot(id).ok();
        let running = || Rescale {
            annotations: slot.as_ref().map(|slot| slot.annotations.load_full().as_ref().clone()).unwrap_or_default(),
            max_in_flight: slot.as_ref().map_or(0, |slot| slot.admission.load().max_running()),
        };
        let asked = rescale.unwrap_or_else(running);
        let failure = inventory::ScaleFailure {
            actor: Some(id),
            component_id: Some(self.called(&id)),
            reference,
            annotations: &asked.annotations,
            max_instances: asked.max_in_flight,
        };
        self.actor_not_scaled(&failure, &error.to_string());
        error
    }

    async fn try_update_actor(
        &self,
        id: ActorId,
        module: Module,
        options: &UpdateActor,
        steps: &Steps,
    ) -> Result<(), HostError> {
        self.check_accepting()?;
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        let slot = self.actor_slot(id)?;
        let module = self.successor(&slot, module, options.force, steps).await?;
        self.check_ordered()?;
        // A version on trial is older than the one that is wanted now.
        self.withdraw(&slot, steps).await;
        let facts = module.facts.clone();
        let _drain = self.0.drains.token();
        let old = self.change_open(|state| {
            authz::check_alias(&facts, state.holder_of(&facts))?;
            if let Some(rescale) = &options.rescale {
                self.rescale_slot(&slot, rescale.clone());
            }
            let old = slot.slot.publish(module);
            state.actors.rename(id, old.facts.call_alias.as_deref(), facts.call_alias.as_deref());
            Ok(old)
        })?;
        self.succeeded(&slot, &old, steps).await;
        Ok(())
    }

    /// Lets a new version take `percent` of an actor's calls, beside the running one, and counts how both do.
    ///
    /// # Errors
    /// As [`Host::update_actor`].
    pub async fn try_actor_from(
        &self,
        id: ActorId,
        reference: &str,
        percent: u8,
        force: bool,
        steps: &Steps,
    ) -> Result<(), HostError> {
        let module = self.fetch_module(reference, steps).await?;
        self.check_accepting()?;
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        let slot = self.actor_slot(id)?;
        let module = self.successor(&slot, module, force, steps).await?;
        slot.slot.current().meter.reset();
        slot.metered.store(true, Ordering::Relaxed);
        let _drain = self.0.drains.token();
        let replaced = self.change_open(|_| Ok(slot.slot.begin_trial(module, percent)))?;
        steps.done("on_trial", format!("{percent} of 100 calls go to the new version"));
        if let Some(replaced) = replaced {
            self.drain_module(&replaced, steps).await;
        }
        Ok(())
    }

    /// Makes the version on trial the only one.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`], or [`HostError::NoTrial`] when there is no version on trial.
    pub async fn promote_actor(&self, id: ActorId, steps: &Steps) -> Result<(), HostError> {
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        let slot = self.actor_slot(id)?;
        let trial = slot.slot.trial().ok_or(HostError::NoTrial { actor: id })?;
        let _drain = self.0.drains.token();
        let old = self.change_open(|state| {
            authz::check_alias(&trial.facts, state.holder_of(&trial.facts))?;
            let old = slot.slot.promote().ok_or(HostError::NoTrial { actor: id })?;
            state.actors.rename(id, old.facts.call_alias.as_deref(), trial.facts.call_alias.as_deref());
            Ok(old)
        })?;
        self.succeeded(&slot, &old, steps).await;
        Ok(())
    }

    /// Ends a trial: the running version takes all calls again. Without a trial, nothing happens.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`].
    pub async fn withdraw_actor(&self, id: ActorId, steps: &Steps) -> Result<(), HostError> {
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        self.check_ordered()?;
        let slot = self.actor_slot(id)?;
        self.withdraw(&slot, steps).await;
        Ok(())
    }

    /// Returns how an actor's versions have done since a trial or rollout began.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`].
    pub(crate) fn measure_actor(&self, id: ActorId) -> Result<Measurement, HostError> {
        let slot = self.actor_slot(id)?;
        // Whoever asks wants to know from now on.
        slot.metered.store(true, Ordering::Relaxed);
        let current = slot.slot.current();
        let trial = slot.slot.trial();
        Ok(match trial {
            Some(trial) => Measurement {
                old: Some(current.meter.read()),
                new: trial.meter.read(),
                reference: current.reference.clone(),
                trial: Some(trial.reference.clone()),
            },
            None => Measurement {
                old: *slot.replaced.lock().unwrap_or_else(PoisonError::into_inner),
                new: current.meter.read(),
                reference: current.reference.clone(),
                trial: None,
            },
        })
    }

    /// Makes the next version of a running actor, as far as it can be made without anybody noticing.
    async fn successor(
        &self,
        slot: &ActorSlot,
        module: Module,
        force: bool,
        steps: &Steps,
    ) -> Result<ActorModule, HostError> {
        let verified = self.verify(module, steps).await?;
        let running = slot.slot.current();
        authz::check_update(&running.facts, verified.facts(), force)?;
        self.check_links_claimed(Some(&running.facts), verified.facts(), force)?;
        self.check_alias(verified.facts())?;
        self.prepare(verified, steps).await
    }

    /// Tells that a new version serves, and drains the one it replaced.
    async fn succeeded(&self, slot: &Arc<ActorSlot>, old: &Generation<ActorModule>, steps: &Steps) {
        steps.done("published", format!("generation {} takes calls", slot.slot.current().number()));
        self.0.events.announce("component_scaled", inventory::component_scaled(self, slot));
        self.tell_claims(slot.id);
        self.drain_module(old, steps).await;
        // The same again, as when an order comes twice, is not what a version is to be compared with.
        if old.reference != slot.slot.current().reference {
            *slot.replaced.lock().unwrap_or_else(PoisonError::into_inner) = Some(old.meter.read());
        }
    }

    async fn withdraw(&self, slot: &ActorSlot, steps: &Steps) {
        let _drain = self.0.drains.token();
        if let Some(trial) = slot.slot.withdraw() {
            self.tell_lattice();
            steps.done("withdrawn", "the version on trial takes no calls any more");
            self.drain_module(&trial, steps).await;
        }
    }

    /// Changes how many calls of an actor may run at once.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`].
    pub fn resize_actor(&self, id: ActorId, max_in_flight: usize) -> Result<(), HostError> {
        let annotations = self.actor_slot(id)?.annotations.load_full().as_ref().clone();
        self.rescale_actor(id, Rescale { max_in_flight, annotations })
    }

    /// Does the same, and replaces the annotations.
    pub(crate) fn rescale_actor(&self, id: ActorId, rescale: Rescale) -> Result<(), HostError> {
        let slot = self.actor_slot(id)?;
        self.rescale_slot(&slot, rescale);
        self.tell_lattice();
        self.0.events.announce("component_scaled", inventory::component_scaled(self, &slot));
        Ok(())
    }

    fn rescale_slot(&self, slot: &ActorSlot, rescale: Rescale) {
        slot.annotations.store(Arc::new(rescale.annotations));
        slot.admission.store(Arc::new(Admission::new(rescale.max_in_flight, self.0.config.max_queued)));
    }

    /// Stops an actor after its calls in flight. Its links stay.
    ///
    /// # Errors
    /// [`HostError::ActorNotFound`].
    pub async fn stop_actor(&self, id: ActorId, steps: &Steps) -> Result<(), HostError> {
        let _change = self.0.locks.lock(format!("actor {id}")).await;
        self.check_ordered()?;
        let slot = self.actor_slot(id)?;
        let _drain = self.0.drains.token();
        self.change(|state| state.actors.remove(&id));
        steps.done("unpublished", "new calls are refused");
        self.withdraw(&slot, steps).await;
        self.drain_module(&slot.slot.current(), steps).await;
        self.0.events.announce("component_scaled", inventory::component_stopped(self, &slot));
        Ok(())
    }

    /// Waits for the calls inside a module, then interrupts those that are left.
    async fn drain_module(&self, module: &Generation<ActorModule>, steps: &Steps) {
        self.drain_module_within(self.drain_timeout(), module, steps).await;
    }

    pub(super) async fn drain_module_within(&self, wait: Duration, module: &Generation<ActorModule>, steps: &Steps) {
        let drained = module.drain(wait).await;
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
}
