//! Carrying out orders, as a host does: fenced by the leader's term, after a while, and not always with success.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::sleep};
use wattle_bus::{Bus as _, Message, Subscription};
use wattle_types::control::{Command, Progress};

use super::{DRAIN_MAX, SimHost, until};
use crate::{
    Planted,
    model::{Generation, IN_FLIGHT, Place, Slot},
    names::Version,
};

/// Orders worked on at once.
const ORDERS_MAX: usize = 64;

/// Why an order is not carried out: a stable name, and words.
type Refused = (&'static str, String);

/// Takes orders until the process ends.
pub(super) async fn take(host: Arc<SimHost>, mut orders: Subscription) {
    let places = Arc::new(Semaphore::new(ORDERS_MAX));
    while let Some(order) = orders.next().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let host = Arc::clone(&host);
        let tasks = host.world.tasks.clone();
        tasks.spawn(async move {
            let dead = host.dead.clone();
            dead.run_until_cancelled(host.answer(&order)).await;
            drop(place);
        });
    }
}

impl SimHost {
    async fn answer(&self, order: &Message) {
        if crate::requests::is_one(order) {
            return crate::requests::carry_out(self, order).await;
        }
        let progress = match self.read(&order.payload) {
            Ok((command, term)) => self.carry_out(command, term).await,
            Err(refused) => Err(refused),
        };
        let progress = match progress {
            Ok(result) => Progress::Done { result },
            Err((code, message)) => Progress::Failed { code: code.to_owned(), message, remedy: None },
        };
        if let (Some(reply), Ok(bytes)) = (&order.reply, serde_json::to_vec(&progress)) {
            // A host whose bus is down cannot answer.
            let _unsent = self.bus.publish(reply, None, &[], bytes.into()).await;
        }
    }

    /// Reads an order, and lets none of an earlier leader pass.
    fn read(&self, payload: &[u8]) -> Result<(Command, u64), Refused> {
        let invalid = |error: serde_json::Error| ("request_invalid", error.to_string());
        let order: Value = serde_json::from_slice(payload).map_err(invalid)?;
        let term = order.get("term").and_then(Value::as_u64).unwrap_or_default();
        let command: Command = serde_json::from_value(order).map_err(invalid)?;
        self.check_term(term)?;
        if !matches!(command, Command::MeasureActor { .. }) {
            self.world.witness.obeys(self.id, self.start, term, &format!("{command:?}"));
            self.remember(term, payload);
        }
        Ok((command, term))
    }

    fn check_term(&self, term: u64) -> Result<(), Refused> {
        let mut fence = self.fence.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if fence.admit(term) || self.world.planted == Some(Planted::NoFence) {
            return Ok(());
        }
        self.world.witness.count("orders refused");
        Err(("term_outdated", format!("the leader is outdated: there is one of term {}", fence.highest())))
    }

    fn remember(&self, term: u64, order: &[u8]) {
        let mut obeyed = self.obeyed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = obeyed.last.replace((term, order.to_vec().into()));
        if let Some((_, order)) = before.filter(|(earlier, _)| *earlier < term) {
            obeyed.earlier = Some(order);
        }
    }

    async fn carry_out(&self, command: Command, term: u64) -> Result<Value, Refused> {
        match command {
            Command::StartActor { reference, max_in_flight, declared, .. } => {
                let place = target_of(&reference).ok_or_else(|| unknown(&reference))?;
                self.start_slot(&place, Slot::new(&reference, max_in_flight.unwrap_or(IN_FLIGHT), declared), term).await
            }
            Command::StartProvider { reference, declared, .. } => {
                let place = target_of(&reference).ok_or_else(|| unknown(&reference))?;
                self.start_slot(&place, Slot::new(&reference, IN_FLIGHT, declared), term).await
            }
            Command::StopActor { actor } => self.stop_slot(&actor_place(&actor)?).await,
            Command::StopProvider { provider, .. } => self.stop_slot(&Place::Provider(provider)).await,
            Command::UpdateActor { actor, reference, force } => {
                self.update_slot(&actor_place(&actor)?, &reference, force, term).await
            }
            Command::UpdateProvider { provider, reference, .. } => {
                self.update_slot(&Place::Provider(provider), &reference, true, term).await
            }
            Command::ResizeActor { actor, max_in_flight } => {
                let place = actor_place(&actor)?;
                self.with_slot(&place, |slot| slot.max_in_flight = max_in_flight)?;
                Ok(json!({}))
            }
            Command::TryActor { actor, reference, percent, force } => {
                let place = actor_place(&actor)?;
                self.work().await?;
                let lock = self.lock_of(&place);
                let _change = lock.lock().await;
                self.check_version(&place, &reference, force)?;
                self.check_open(term)?;
                self.with_slot(&place, |slot| slot.try_out(&reference, percent))?;
                self.world.witness.version_begins(self.id, &reference);
                Ok(json!({}))
            }
            Command::PromoteActor { actor } => self.promote(&actor_place(&actor)?, term).await,
            Command::WithdrawActor { actor } => {
                let place = actor_place(&actor)?;
                let lock = self.lock_of(&place);
                let _change = lock.lock().await;
                self.with_slot(&place, |slot| slot.trial = None)?;
                Ok(json!({}))
            }
            Command::MeasureActor { actor } => {
                let place = actor_place(&actor)?;
                let model = self.model();
                let slot = model.slots.get(&place).ok_or_else(|| not_found(&place))?;
                Ok(json!(slot.measure()))
            }
            other => Err(("request_invalid", format!("a leader does not give {other:?}"))),
        }
    }

    async fn start_slot(&self, place: &Place, slot: Slot, term: u64) -> Result<Value, Refused> {
        self.work().await?;
        let lock = self.lock_of(place);
        let _change = lock.lock().await;
        let is_actor = matches!(place, Place::Actor(_));
        let reference = slot.current.reference.clone();
        self.check_open(term)?;
        self.change(|model| {
            if model.slots.contains_key(place) {
                let code = if is_actor { "actor_running" } else { "provider_running" };
                return Err((code, format!("{place} runs already")));
            }
            model.slots.insert(place.clone(), slot);
            Ok(())
        })?;
        self.world.witness.version_begins(self.id, &reference);
        Ok(json!({}))
    }

    async fn stop_slot(&self, place: &Place) -> Result<Value, Refused> {
        let lock = self.lock_of(place);
        let _change = lock.lock().await;
        let found = self.change(|model| model.slots.remove(place)).is_some();
        sleep(self.chance.millis(0..=20)).await;
        if found { Ok(json!({})) } else { Err(not_found(place)) }
    }

    async fn update_slot(&self, place: &Place, reference: &str, force: bool, term: u64) -> Result<Value, Refused> {
        self.work().await?;
        let lock = self.lock_of(place);
        let _change = lock.lock().await;
        self.check_version(place, reference, force)?;
        self.check_open(term)?;
        self.with_slot(place, |slot| slot.replace(Generation::new(reference)))?;
        self.world.witness.version_begins(self.id, reference);
        // The calls inside the old version end first.
        until(DRAIN_MAX.min(Duration::from_millis(100)), || self.model().running() == 0).await;
        Ok(json!({}))
    }

    async fn promote(&self, place: &Place, term: u64) -> Result<Value, Refused> {
        let lock = self.lock_of(place);
        let _change = lock.lock().await;
        self.check_open(term)?;
        if self.with_slot(place, Slot::promote)? {
            Ok(json!({}))
        } else {
            Err(("no_trial", format!("{place} has no version on trial")))
        }
    }

    /// A host that stops begins nothing any more, and what took long may be another leader's to say by now.
    fn check_open(&self, term: u64) -> Result<(), Refused> {
        self.check_term(term)?;
        if self.model().closing { Err(draining()) } else { Ok(()) }
    }

    fn check_version(&self, place: &Place, reference: &str, force: bool) -> Result<(), Refused> {
        let revision = |reference: &str| Version::parse(reference).map_or(0, |version| version.number);
        let model = self.model();
        let running = revision(&model.slots.get(place).ok_or_else(|| not_found(place))?.current.reference);
        let found = revision(reference);
        if found < running && !force {
            return Err(("revision_too_low", format!("revision {running} runs, {found} is lower")));
        }
        Ok(())
    }

    fn with_slot<T>(&self, place: &Place, change: impl FnOnce(&mut Slot) -> T) -> Result<T, Refused> {
        self.change(|model| model.slots.get_mut(place).map(change)).ok_or_else(|| not_found(place))
    }

    /// Fetches and compiles: takes a while, and fails now and then.
    async fn work(&self) -> Result<(), Refused> {
        sleep(self.chance.millis(1..=self.world.plan.order_ms)).await;
        if self.chance.happens(self.world.trouble()) {
            return Err(("fetch_failed", "the module cannot be fetched".to_owned()));
        }
        Ok(())
    }
}

/// Returns whose version a reference is of.
fn target_of(reference: &str) -> Option<Place> {
    let target = reference.split('/').next()?;
    match target.parse() {
        Ok(actor) => Some(Place::Actor(actor)),
        Err(_) => target.parse().ok().map(Place::Provider),
    }
}

fn actor_place(actor: &str) -> Result<Place, Refused> {
    actor.parse().map(Place::Actor).map_err(|_| ("actor_not_found", format!("there is no actor {actor}")))
}

fn draining() -> Refused {
    ("draining", "the host is draining".to_owned())
}

fn unknown(reference: &str) -> Refused {
    ("fetch_failed", format!("nothing is at {reference}"))
}

fn not_found(place: &Place) -> Refused {
    match place {
        Place::Actor(_) => ("actor_not_found", format!("{place} does not run here")),
        Place::Provider(_) => ("provider_not_found", format!("{place} does not run here")),
    }
}
