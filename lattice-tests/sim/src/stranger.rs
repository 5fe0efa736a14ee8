//! Somebody who may publish, and has no key of the cluster: tells beats of hosts that are there and of such as are not.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;
use wattle_bus::{Bus as _, Message, sim::SimBus};
use wattle_lattice::node::prove_beat;
use wattle_types::{HostId, subject};

use crate::{
    Planted,
    chance::Chance,
    host::cluster_key,
    names,
    surroundings::EPOCH,
    world::{World, stream},
};

/// The number of a host that nobody has.
const GHOST: u8 = 200;
/// Beats that are recorded, to be sent again.
const RECORDED_MAX: usize = 200;
/// How often it is looked what came of it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Meddles until all is to calm down, and looks until the end whether it has brought anything about.
pub(crate) async fn meddle(world: Arc<World>) {
    let chance = Chance::new(world.seed, stream::STRANGER);
    let bus = world.net.connect("stranger");
    world.tasks.spawn(look(Arc::clone(&world)));
    let Ok(mut beats) = bus.subscribe(&subject::beat(&world.lattice, "*"), None).await else { return };
    let mut recorded: Vec<Message> = Vec::new();
    while !world.calm_down.is_cancelled() {
        let next = tokio::time::timeout(chance.millis(500..=3_000), beats.next()).await;
        if let Ok(Some(beat)) = next {
            if recorded.len() < RECORDED_MAX {
                recorded.push(beat);
            } else if let Some(place) = recorded.get_mut(chance.below(RECORDED_MAX)) {
                *place = beat;
            }
            if !chance.happens(100) {
                continue;
            }
        }
        if let Some(old) = chance.pick(&recorded).filter(|_| chance.happens(500)) {
            let _unsent = bus.publish(&old.subject, None, &old.headers, old.payload.clone()).await;
        } else if chance.happens(200) {
            forge(&world, &bus, &chance).await;
        }
    }
    bus.crash();
}

/// Tells that a host which is not there runs something, or that another process of one that is there began later.
async fn forge(world: &World, bus: &SimBus, chance: &Chance) {
    let clock = EPOCH + world.begun.elapsed().as_secs();
    let seat = chance.pick(&world.seats).map(|seat| seat.id).filter(|_| chance.happens(300));
    let host = seat.unwrap_or_else(|| names::host(GHOST));
    let start = world.hosts().into_iter().find(|other| other.id == host).map_or(1, |host| host.node.own_incarnation());
    let beat = beat(&host, clock, start);
    let subject = subject::beat(&world.lattice, &host.to_string());
    let body = beat.to_string().into_bytes();
    let proof = if world.planted == Some(Planted::ForgedBeats) {
        prove_beat(cluster_key(), &subject, &body)
    } else {
        Some(("Wattle-Proof".to_owned(), format!("{} AAAAAAAAAAAAAAAAAAAAAA", cluster_key().public_key())))
    };
    let _unsent = bus.publish(&subject, None, proof.as_slice(), body.into()).await;
}

fn beat(host: &HostId, clock: u64, start: u64) -> Value {
    let provider = names::provider(0).to_string();
    json!({
        "host": host, "name": "stranger", "incarnation": start + 1_000_000, "version": 1_000_000, "sent": 1_000_000,
        "interval_ms": 1_000, "clock": clock, "greets": { host.to_string(): start },
        "providers": { provider: { "reference": "forged", "declared": true } },
    })
}

/// Complains of hosts that nobody has started, and of those that were ended.
async fn look(world: Arc<World>) {
    let mut complained = false;
    loop {
        sleep(LOOK_EVERY).await;
        for host in world.hosts() {
            let ghost = names::host(GHOST);
            if !complained && host.node.directory().hosts().contains_key(&ghost) {
                world.witness.complain(&format!("{} knows a host that nobody has started", host.name()));
                complained = true;
            }
            if !complained && host.node.is_replaced() {
                world.witness.complain(&format!("{} was ended by a beat of nobody's", host.name()));
                complained = true;
            }
        }
    }
}
