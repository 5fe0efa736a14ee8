//! Verbs about actors, which the standard calls components.

use std::sync::Arc;

use wattle_types::{
    ActorId, ActorName,
    control::{ScaleComponent, UpdateComponent},
};

use super::reply::{Ack, given, meant_for, queue};
use crate::{
    actor::ActorSlot,
    deployer,
    host::{self, Host, Rescale, StartActor},
    inventory::ScaleFailure,
    steps::Steps,
};

/// Starts an actor, changes how many of its calls run at once, replaces its module, or stops it. A refusal is told by
/// an event, too: deployers show the reason that stands there.
pub(super) async fn scale(host: &Host, scale: ScaleComponent) -> Ack {
    meant_for(host, &scale.host_id)?;
    let answer = try_scale(host, &scale).await;
    if let Err(why) = &answer {
        refused(host, &scale, why);
    }
    answer
}

fn refused(host: &Host, scale: &ScaleComponent, why: &str) {
    let (id, annotations) = (scale.component_id.trim(), scale.annotations.clone().unwrap_or_default());
    let failure = ScaleFailure {
        actor: host.actor_called(id),
        component_id: Some(id.to_owned()),
        reference: scale.component_ref.trim(),
        annotations: &annotations,
        max_instances: scale.wanted().unwrap_or_default() as usize,
    };
    host.actor_not_scaled(&failure, why);
}

async fn try_scale(host: &Host, scale: &ScaleComponent) -> Ack {
    let called = called(&scale.component_id)?;
    let count = scale.wanted().ok_or("count must be given: how many calls may run at once, or 0 to stop the actor")?;
    let running = host.actor_called(&called.text()).and_then(|actor| host.actor_slot(actor).ok());
    if count == 0 {
        return running.map_or_else(|| Ok("not running".into()), |slot| stop(host, &slot, scale));
    }
    let reference = given("component_ref", &scale.component_ref)?.to_owned();
    if let Some(slot) = &running {
        hold(slot, scale);
    }
    // Actors take no configuration; but a name that leads nowhere is somebody's mistake.
    host.configs().resolve(&scale.config).await.map_err(|error| error.to_string())?;
    match running {
        Some(slot) => change(host, &slot, reference, count, scale),
        None => start(host, called, reference, count, scale),
    }
}

/// Remembers which scaler wants it to run. Before anything else is done: the former one asks for its end at once.
fn hold(slot: &ActorSlot, scale: &ScaleComponent) {
    let scaler = scale.annotations.as_ref().and_then(deployer::scaler);
    if let Some(scaler) = scaler {
        slot.held_by.store(Some(Arc::new(scaler.to_owned())));
    }
}

fn stop(host: &Host, slot: &ActorSlot, scale: &ScaleComponent) -> Ack {
    let (holder, asker) = (slot.held_by.load_full(), scale.annotations.as_ref().and_then(deployer::scaler));
    if !deployer::may_stop(holder.as_ref().map(|holder| holder.as_str()), asker) {
        return Ok("it stays: another scaler has asked for it since".into());
    }
    let id = slot.id;
    queue(host, "the actor stops", move |host| async move { host.stop_actor(id, &Steps::ignore()).await })
}

fn start(host: &Host, called: Called, reference: String, count: u32, scale: &ScaleComponent) -> Ack {
    let (expected, name) = match called {
        Called::Id(id) => (Some(id), None),
        Called::Name(name) => (None, Some(name)),
    };
    let options = StartActor {
        expected,
        name,
        max_in_flight: Some(count as usize),
        annotations: scale.annotations.clone().unwrap_or_default(),
        ..StartActor::default()
    };
    queue(host, "the actor starts", move |host| async move {
        host.start_actor_from(&reference, options, &Steps::ignore()).await.map(drop)
    })
}

/// Resizes a running actor at once, or with its next version where another reference is one.
fn change(host: &Host, slot: &ActorSlot, reference: String, count: u32, scale: &ScaleComponent) -> Ack {
    let (running, annotations) = (slot.slot.current().reference.clone(), slot.annotations.load_full());
    let asked = scale.annotations.as_ref().unwrap_or(&annotations);
    let rescale = Rescale { max_in_flight: count as usize, annotations: asked.clone() };
    if running != reference && (scale.allow_update || deployer::is_next_version(&annotations, asked)) {
        return replace(host, slot.id, reference, Some(rescale));
    }
    host.rescale_actor(slot.id, rescale).map_err(|error| error.to_string())?;
    if running == reference {
        return Ok("scaled".into());
    }
    Ok(format!("scaled, but still {running}: {reference} would be an update, which is not allowed here"))
}

/// Replaces a running actor's module, live.
pub(super) fn update(host: &Host, update: &UpdateComponent) -> Ack {
    meant_for(host, &update.host_id)?;
    let named = given("component_id", &update.component_id)?;
    let reference = given("new_component_ref", &update.new_component_ref)?.to_owned();
    let slot = host.actor_called(named).and_then(|actor| host.actor_slot(actor).ok());
    let slot = slot.ok_or_else(|| format!("component {named} not found"))?;
    if slot.slot.current().reference == reference {
        return Ok(format!("component {named} already runs {reference}"));
    }
    let annotations = update.annotations.clone();
    let max_in_flight = slot.admission.load().max_running();
    let rescale = annotations.map(|annotations| Rescale { max_in_flight, annotations });
    replace(host, slot.id, reference, rescale)
}

fn replace(host: &Host, id: ActorId, reference: String, rescale: Option<Rescale>) -> Ack {
    let options = host::UpdateActor { force: false, rescale };
    queue(host, &format!("the actor is updated to {reference}"), move |host| async move {
        host.update_and_rescale_actor(id, &reference, options, &Steps::ignore()).await
    })
}

/// What tools call an actor: its id, or a name they chose.
pub(super) enum Called {
    Id(ActorId),
    Name(ActorName),
}

impl Called {
    fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Name(name) => name.to_string(),
        }
    }
}

/// Reads a `component_id`.
pub(super) fn called(id: &str) -> Result<Called, String> {
    let id = given("component_id", id)?;
    match id.parse() {
        Ok(actor) => Ok(Called::Id(actor)),
        Err(_) => id.parse().map(Called::Name).map_err(|error| format!("component_id: {error}")),
    }
}
