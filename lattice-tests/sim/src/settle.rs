//! What must hold once everything is mended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use wattle_lattice::{
    placement::{HostView, place},
    rollout::Rollout,
    spec::{LatticeData, Spread, Target},
};

use crate::{auditor::Auditor, host::SimHost, model::Place, world::World};

/// Says what is not as it should be yet.
type Check = fn(&World, &Auditor) -> Option<String>;

/// How long hosts that run may take to know each other again: three beats, and what was sent to a connection that stood
/// still.
const SOON: Duration = Duration::from_secs(8);
/// How long a host that has just joined may take to be known: where its clock went backwards, until others have
/// forgotten that its forerunner left, which they may have heard late.
const JOINED: Duration = Duration::from_secs(16);
/// How long links, directories and the leadership may take to be right. Hosts that drain come back within this time.
const QUICKLY: Duration = Duration::from_secs(60);
/// How long what is declared may take to run: orders on their way when all was mended take a minute to be given up.
const SCALED: Duration = Duration::from_secs(90);
/// How long rollouts may take to end: one host after the other, each with two minutes of patience.
const ROLLED: Duration = Duration::from_secs(400);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits until all is right, and complains about what is not in time.
pub(crate) async fn settle(world: &Arc<World>, auditor: &Auditor) -> Duration {
    let begun = Instant::now();
    let steps: [(Duration, Check); 5] =
        [(SOON, together), (QUICKLY, quick), (ROLLED, rollouts), (ROLLED + SCALED, declared), (ROLLED + SCALED, quick)];
    for (limit, wrong) in steps {
        while let Some(why) = wrong(world, auditor) {
            if begun.elapsed() > limit {
                world.witness.complain(&format!("not right {limit:?} after all was mended: {why}"));
                return begun.elapsed();
            }
            sleep(LOOK_EVERY).await;
        }
    }
    begun.elapsed()
}

/// Complains if what had come right has not stayed so.
pub(crate) fn still_right(world: &World, auditor: &Auditor) {
    if let Some(why) = quick(world, auditor).or_else(|| declared(world, auditor)) {
        world.witness.complain(&format!("not right any more: {why}"));
    }
}

/// Hosts that run know of each other.
fn together(world: &World, _: &Auditor) -> Option<String> {
    let hosts = world.hosts();
    let running: Vec<_> = hosts.iter().filter(|host| host.since.elapsed() >= JOINED && !host.model().closing).collect();
    running.iter().find_map(|host| {
        let directory = host.node.directory();
        let unknown = running.iter().find(|other| !directory.hosts().contains_key(&other.id))?;
        Some(format!("{} does not know {}", host.name(), unknown.name()))
    })
}

/// Everybody is there, knows the same, and knows who runs what; one leads.
fn quick(world: &World, auditor: &Auditor) -> Option<String> {
    let hosts = world.hosts();
    if hosts.len() != world.seats.len() {
        return Some(format!("{} of {} hosts run", hosts.len(), world.seats.len()));
    }
    if let Some(host) = hosts.iter().find(|host| host.model().leaving) {
        return Some(format!("{} is leaving", host.name()));
    }
    let leaders = hosts.iter().filter(|host| host.node.leads().is_some()).count();
    if leaders != 1 {
        return Some(format!("{leaders} hosts lead"));
    }
    let stored = auditor.read(LatticeData::links_on_wire);
    let differs = |host: &&Arc<SimHost>| host.node.shared().read(LatticeData::links_on_wire) != stored;
    let different: Vec<_> = hosts.iter().filter(differs).map(|host| host.name()).collect();
    if !different.is_empty() {
        return Some(format!("{different:?} of {} hosts have other links than are stored", hosts.len()));
    }
    let told: BTreeMap<_, _> = hosts.iter().map(|host| (host.id, host.model().told())).collect();
    hosts.iter().find_map(|host| wrong_directory(host, &told))
}

fn wrong_directory(
    host: &SimHost,
    told: &BTreeMap<wattle_types::HostId, wattle_lattice::node::Told>,
) -> Option<String> {
    let directory = host.node.directory();
    let name = host.name();
    if !directory.hosts().keys().eq(told.keys()) {
        return Some(format!("{name} knows {} of {} hosts", directory.hosts().len(), told.len()));
    }
    let is_wrong = |(other, told): &(&wattle_types::HostId, &wattle_lattice::node::Told)| {
        let Some(known) = directory.hosts().get(other) else { return true };
        known.beat.actors != told.actors
            || known.beat.providers != told.providers
            || known.beat.draining != told.draining
    };
    told.iter().find(is_wrong).map(|(other, _)| format!("{name} does not know what {other} runs"))
}

/// No rollout is under way.
fn rollouts(_: &World, auditor: &Auditor) -> Option<String> {
    let active = auditor.read(|data| data.rollouts().find(|rollout| rollout.is_active()).cloned());
    active.map(|Rollout { target, phase, .. }| format!("the rollout of {target} is under way: {phase:?}"))
}

struct Wanted {
    target: Target,
    replicas: u32,
    spread: Vec<Spread>,
    constraints: BTreeMap<String, String>,
    reference: String,
    max_in_flight: Option<u32>,
}

/// What is declared runs, in its version and at its scale, and nothing else does.
fn declared(world: &World, auditor: &Auditor) -> Option<String> {
    let wanted = auditor.read(wanted);
    let hosts = world.hosts();
    wanted.iter().find_map(|wanted| wrong_scale(wanted, &hosts)).or_else(|| stray(&wanted, &hosts))
}

fn wanted(data: &LatticeData) -> Vec<Wanted> {
    let actors = data.actors().map(|(id, it)| Wanted {
        target: Target::Actor(*id),
        replicas: it.replicas,
        spread: it.spread.clone(),
        constraints: it.constraints.clone(),
        reference: it.reference.clone(),
        max_in_flight: it.max_in_flight,
    });
    let providers = data.providers().map(|(id, it)| Wanted {
        target: Target::Provider(id.clone()),
        replicas: it.replicas,
        spread: it.spread.clone(),
        constraints: it.constraints.clone(),
        reference: it.reference.clone(),
        max_in_flight: None,
    });
    actors.chain(providers).collect()
}

fn wrong_scale(wanted: &Wanted, hosts: &[Arc<SimHost>]) -> Option<String> {
    let at = place_of(&wanted.target);
    let models: Vec<_> = hosts.iter().map(|host| (host.id, host.model().labels.clone())).collect();
    let view = |(id, labels)| HostView { id, labels, draining: false, load: 0, runs: false };
    let views: Vec<_> = models.iter().map(|(id, labels)| view((*id, labels))).collect();
    let possible = place(wanted.replicas, &wanted.spread, &wanted.constraints, &views).hosts.len();
    let mut running = 0;
    for host in hosts {
        let model = host.model();
        let Some(slot) = model.slots.get(&at) else { continue };
        running += 1;
        let reference = &slot.current.reference;
        if *reference != wanted.reference {
            let wanted = &wanted.reference;
            return Some(format!("{} runs {reference} where {wanted} is declared", host.name()));
        }
        if let Some((trial, _)) = &slot.trial {
            return Some(format!("{} still tries {}", host.name(), trial.reference));
        }
        if wanted.max_in_flight.is_some_and(|size| size != slot.max_in_flight) {
            return Some(format!("{} lets {} calls at once to {}", host.name(), slot.max_in_flight, wanted.target));
        }
    }
    let (target, replicas) = (&wanted.target, wanted.replicas);
    (running != possible).then(|| format!("{target} runs on {running} hosts; {replicas} are declared, {possible} can"))
}

fn stray(wanted: &[Wanted], hosts: &[Arc<SimHost>]) -> Option<String> {
    let places: Vec<_> = wanted.iter().map(|wanted| place_of(&wanted.target)).collect();
    hosts.iter().find_map(|host| {
        let model = host.model();
        let stray = model.slots.keys().find(|place| !places.contains(place))?;
        Some(format!("{} runs {stray}, which is not declared", host.name()))
    })
}

fn place_of(target: &Target) -> Place {
    match target {
        Target::Actor(actor) => Place::Actor(*actor),
        Target::Provider(provider) => Place::Provider(provider.clone()),
    }
}
