//! What goes wrong, and when it is mended.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use wattle_bus::sim::{Cut, Faults};
use wattle_lattice::spec::lattice_bucket;

use crate::{
    chance::Chance,
    operators::Operators,
    plan::{Mood, standstill, weather},
    world::{Seat, World, stream},
};

/// Lets things go wrong until all is to calm down.
pub(crate) async fn storm(world: Arc<World>, operators: Arc<Operators>) {
    if world.plan.mood == Mood::Calm {
        return;
    }
    let chance = Arc::new(Chance::new(world.seed, stream::FAULTS));
    while !world.calm_down.is_cancelled() {
        sleep(chance.millis(200..=world.plan.fault_every_ms)).await;
        if world.calm_down.is_cancelled() {
            return;
        }
        if world.plan.mood == Mood::Amnesic && chance.happens(200) {
            lose_state(&world, &operators, &chance);
            continue;
        }
        let how_long = chance.millis(200..=15_000);
        match chance.below(100) {
            0..=19 => cut(&world, &chance, Cut::Both, how_long),
            20..=27 => cut(&world, &chance, Cut::Up, how_long),
            28..=35 => cut(&world, &chance, Cut::Down, how_long),
            36..=43 => cut_several(&world, &chance, how_long),
            44..=58 => set_weather(&world, &chance, weather(&chance), how_long),
            59..=66 => set_weather(&world, &chance, standstill(&chance), how_long),
            67..=84 => crash(&world, &chance, how_long),
            85..=90 => {
                world.witness.note("the broker starts anew");
                world.net.restart_broker();
            }
            91..=94 => skew(&world, &chance, how_long),
            _ => late_orders(&world),
        }
    }
}

fn seat(world: &World, chance: &Chance) -> Option<Arc<Seat>> {
    chance.pick(&world.seats).cloned()
}

fn cut(world: &Arc<World>, chance: &Chance, how: Cut, how_long: Duration) {
    let Some(seat) = seat(world, chance) else { return };
    cut_off(world, seat, how, how_long);
}

fn cut_off(world: &Arc<World>, seat: Arc<Seat>, how: Cut, how_long: Duration) {
    world.witness.note(&format!("host {} is cut off: {how:?}, for {how_long:?}", seat.number));
    seat.set_cut(how);
    world.tasks.spawn(async move {
        sleep(how_long).await;
        seat.set_cut(Cut::None);
    });
}

fn cut_several(world: &Arc<World>, chance: &Chance, how_long: Duration) {
    let chosen: Vec<_> = world.seats.iter().filter(|_| chance.happens(500)).cloned().collect();
    for seat in chosen {
        cut_off(world, seat, Cut::Both, how_long);
    }
}

fn set_weather(world: &Arc<World>, chance: &Chance, faults: Faults, how_long: Duration) {
    let Some(seat) = seat(world, chance) else { return };
    world.witness.note(&format!("host {} suffers {faults:?} for {how_long:?}", seat.number));
    seat.set_weather(faults);
    world.tasks.spawn(async move {
        sleep(how_long).await;
        seat.set_weather(Faults::default());
    });
}

/// Kills a host, and starts it again after a while: at once, too, sometimes.
fn crash(world: &Arc<World>, chance: &Chance, how_long: Duration) {
    let Some(seat) = seat(world, chance) else { return };
    let Some(host) = seat.leave() else { return };
    host.crash();
    let pause = if chance.happens(300) { Duration::from_millis(10) } else { how_long };
    let world = Arc::clone(world);
    world.clone().tasks.spawn(async move {
        sleep(pause).await;
        world.start(&seat);
    });
}

/// Sets a host's clock wrong: by more than other hosts accept, sometimes.
fn skew(world: &Arc<World>, chance: &Chance, how_long: Duration) {
    let Some(seat) = seat(world, chance) else { return };
    let seconds = i64::try_from(chance.below(200)).unwrap_or_default() - 100;
    world.witness.note(&format!("the clock of host {} is {seconds} s ahead for {how_long:?}", seat.number));
    seat.machine.set_skew(seconds);
    world.tasks.spawn(async move {
        sleep(how_long).await;
        seat.machine.set_skew(0);
    });
}

/// Has hosts hear orders of earlier leaders again.
fn late_orders(world: &Arc<World>) {
    for host in world.hosts() {
        let world = Arc::clone(world);
        world.clone().tasks.spawn(async move {
            if host.hear_late_order().await {
                world.witness.note(&format!("{} hears a late order", host.name()));
            }
        });
    }
}

fn lose_state(world: &World, operators: &Operators, chance: &Chance) {
    world.witness.count("losses of state");
    let bucket = lattice_bucket(&world.lattice);
    if chance.happens(500) {
        world.witness.note("the shared state is purged");
        world.net.purge_bucket(&bucket);
    } else {
        world.witness.note("the shared state is lost");
        world.net.lose_bucket(&bucket);
    }
    world.witness.terms_lost();
    operators.state_lost();
}
