//! Calls between everybody, from everywhere, with deadlines.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout, timeout_at};
use wattle_lattice::rpc::{Origin, RemoteCall, Target};
use wattle_types::{CallContext, Deadline, HostId};

use crate::{
    Planted,
    chance::Chance,
    host::SimHost,
    model::Place,
    names,
    plan::Mood,
    witness::Asked,
    world::{World, stream},
};

/// How long a host must have been there before calls begin on it.
const SETTLED: Duration = Duration::from_secs(3);
/// After this much more than its deadline a call counts as one that never ends.
const FOREVER: Duration = Duration::from_secs(2);

/// Calls until all is to calm down.
pub(crate) async fn load(world: Arc<World>) {
    let chance = Chance::new(world.seed, stream::LOAD);
    while !world.calm_down.is_cancelled() {
        sleep(chance.millis(1..=world.plan.call_every_ms)).await;
        let hosts = world.hosts();
        // A newcomer has not heard of everybody yet.
        let is_fit = |host: &&Arc<SimHost>| !host.model().closing && host.since.elapsed() >= SETTLED;
        let Some(host) = chance.pick(&hosts).filter(is_fit).cloned() else { continue };
        // An actor that is being rolled out gets most calls, so that there is something to judge by.
        let rolling = host.node.shared().read(|data| {
            let active = data.rollouts().filter(|rollout| rollout.is_active());
            active.map(|rollout| rollout.target.clone()).collect::<Vec<_>>()
        });
        let favourite = chance.pick(&rolling).cloned();
        let times = if favourite.is_some() { 1 + chance.below(8) } else { 1 };
        for _ in 0..times {
            if let Some(call) = compose(&world, &chance, &host, favourite.as_ref()) {
                let (world, host) = (Arc::clone(&world), Arc::clone(&host));
                host.model().calling += 1;
                world.clone().tasks.spawn(async move {
                    make(&world, &host, call).await;
                    host.model().calling -= 1;
                });
            }
        }
    }
}

struct Composed {
    origin: Origin,
    target: Target,
    asked: Asked,
    operation: &'static str,
}

/// Makes up a call; `None` if its link is not known where it begins.
fn compose(
    world: &World,
    chance: &Chance,
    host: &Arc<SimHost>,
    favourite: Option<&wattle_lattice::spec::Target>,
) -> Option<Composed> {
    let least = if world.plan.mood == Mood::Calm { 5_000 } else { 100 };
    let deadline = Instant::now() + chance.millis(least..=6_000);
    let link = chance.pick(&names::links()).cloned()?;
    let actor = match favourite {
        Some(wattle_lattice::spec::Target::Actor(actor)) => *actor,
        _ => chance.pick(&names::actors()).copied()?,
    };
    let kind = if favourite.is_some() { 2 } else { chance.below(3) };
    let repeatable = chance.happens(300);
    let (origin, target, link, operation) = match kind {
        0 => {
            let provider = host.node.shared().read(|data| data.link(&link).map(|it| it.definition.provider.clone()))?;
            let operation = if repeatable { "read" } else { "write" };
            (Origin::Actor(link.actor), Target::Provider { link: link.clone(), provider }, Some(link), operation)
        }
        1 => {
            let provider = host.node.shared().read(|data| data.link(&link).map(|it| it.definition.provider.clone()))?;
            let target = Target::Actor { actor: link.actor, link: Some(link.clone()) };
            (Origin::Provider(provider), target, Some(link), "handle")
        }
        _ => {
            let origin = chance.pick(&names::actors()).copied()?;
            (Origin::Actor(origin), Target::Actor { actor, link: None }, None, "greet")
        }
    };
    let place = Place::of(&target);
    Some(Composed { origin, target, asked: Asked { origin: host.id, place, link, repeatable, deadline }, operation })
}

/// Makes a call, here if possible, and tells the witness how it ended.
async fn make(world: &Arc<World>, host: &Arc<SimHost>, composed: Composed) {
    let asked = composed.asked;
    let id = world.witness.called(asked.clone());
    let mut context = CallContext::new(Deadline::at(asked.deadline.into_std()));
    context.repeatable = asked.repeatable;
    let call = RemoteCall {
        origin: composed.origin,
        target: composed.target,
        operation: composed.operation.to_owned(),
        payload: id.0.to_be_bytes().to_vec().into(),
        context,
    };
    let is_here = host.model().slots.contains_key(&asked.place);
    let repeatable = asked.repeatable || world.planted == Some(Planted::RetryUnknown);
    let ending = async {
        if is_here {
            return match timeout_at(asked.deadline, Arc::clone(host).take_call(call)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(refusal)) => Err(refusal.code.into_owned()),
                Err(_) => Err("deadline_exceeded".to_owned()),
            };
        }
        host.node.call(call, repeatable).await.map_err(|error| error.code().to_owned())
    };
    let longest = asked.deadline.saturating_duration_since(Instant::now()) + FOREVER;
    let Some(ended) = host.dead.run_until_cancelled(timeout(longest, ending)).await else {
        return world.witness.caller_died(id);
    };
    let is_calm = world.plan.mood == Mood::Calm;
    match ended {
        Ok(Ok(answer)) => {
            let host = std::str::from_utf8(&answer).ok().and_then(|text| text.parse::<HostId>().ok());
            match host {
                Some(host) => world.witness.ended(id, Ok(host), is_calm),
                None => world.witness.complain(&format!("{id:?} was answered with {answer:?}")),
            }
        }
        Ok(Err(code)) => world.witness.ended(id, Err(&code), is_calm),
        Err(_) => world.witness.complain(&format!("{id:?} does not end")),
    }
}
