//! Verbs about actors, which the standard calls components.

use wattle_types::{
    ActorId,
    control::{ScaleComponent, UpdateComponent},
};

use super::reply::{Ack, given, meant_for, queue};
use crate::{
    host::{Host, StartActor},
    steps::Steps,
};

/// Starts an actor, changes how many of its calls run at once, or stops it.
pub(super) async fn scale(host: &Host, scale: ScaleComponent) -> Ack {
    meant_for(host, &scale.host_id)?;
    let id = actor(&scale.component_id)?;
    let is_running = host.actor_slot(id).is_ok();
    match scale.count {
        0 if is_running => {
            queue(host, "the actor stops", move |host| async move { host.stop_actor(id, &Steps::ignore()).await })
        }
        0 => Ok("not running".into()),
        _ => {
            let reference = given("component_ref", &scale.component_ref)?.to_owned();
            // Actors take no configuration; but a name that leads nowhere is somebody's mistake.
            host.configs().resolve(&scale.config).await.map_err(|error| error.to_string())?;
            if is_running { resize(host, id, reference, &scale) } else { start(host, id, reference, scale) }
        }
    }
}

fn start(host: &Host, id: ActorId, reference: String, scale: ScaleComponent) -> Ack {
    let options = StartActor {
        expected: Some(id),
        max_in_flight: Some(scale.count as usize),
        annotations: scale.annotations.unwrap_or_default(),
        ..StartActor::default()
    };
    queue(host, "the actor starts", move |host| async move {
        host.start_actor_from(&reference, options, &Steps::ignore()).await.map(drop)
    })
}

/// Resizes a running actor at once. Its module is replaced only where that is allowed.
fn resize(host: &Host, id: ActorId, reference: String, scale: &ScaleComponent) -> Ack {
    let running = host.actor_slot(id).map_err(|error| error.to_string())?.slot.current().reference.clone();
    let rescaled = host.rescale_actor(id, scale.count as usize, scale.annotations.clone());
    rescaled.map_err(|error| error.to_string())?;
    match (running == reference, scale.allow_update) {
        (true, _) => Ok("scaled".into()),
        (false, false) => {
            Ok(format!("scaled, but still {running}: {reference} would be an update, which is not allowed here"))
        }
        (false, true) => {
            let queued = replace(host, id, reference)?;
            Ok(format!("scaled; {queued}"))
        }
    }
}

/// Replaces a running actor's module, live.
pub(super) fn update(host: &Host, update: &UpdateComponent) -> Ack {
    meant_for(host, &update.host_id)?;
    let named = given("component_id", &update.component_id)?;
    let reference = given("new_component_ref", &update.new_component_ref)?.to_owned();
    let slot = named.parse().ok().and_then(|id: ActorId| host.actor_slot(id).ok());
    let slot = slot.ok_or_else(|| format!("component {named} not found"))?;
    if slot.slot.current().reference == reference {
        return Ok(format!("component {named} already runs {reference}"));
    }
    replace(host, slot.id, reference)
}

fn replace(host: &Host, id: ActorId, reference: String) -> Ack {
    queue(host, &format!("the actor is updated to {reference}"), move |host| async move {
        host.update_actor_from(id, &reference, false, &Steps::ignore()).await
    })
}

fn actor(id: &str) -> Result<ActorId, String> {
    let id = given("component_id", id)?;
    id.parse().map_err(|error| format!("component_id must be the key (M...) the actor's module is signed for: {error}"))
}
