//! One plan: what is declared against what runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use wattle_types::HostId;

use super::{Action, Declared, SETTLE, STARTS_AT_ONCE, Standing, Wanted, Work, memory::Memory};
use crate::{
    beat::Beat,
    directory::{DirectorySnapshot, KnownHost},
    placement::{HostView, Placement},
    spec::Target,
};

/// The target on one host, as the host tells it.
struct Instance<'a> {
    reference: &'a str,
    max_in_flight: Option<u32>,
    /// The reconciler's own; what people started it leaves alone.
    is_declared: bool,
}

struct Plan<'a> {
    now: Instant,
    hosts: &'a BTreeMap<HostId, KnownHost>,
    memory: &'a mut Memory,
    load: BTreeMap<HostId, usize>,
    actions: Vec<Action>,
}

pub(super) fn plan(
    now: Instant,
    declared: &Declared,
    hosts: &DirectorySnapshot,
    memory: &mut Memory,
    standings: &mut Vec<Standing>,
) -> Vec<Action> {
    let hosts = hosts.hosts();
    let load = hosts.iter().map(|(host, known)| (*host, known.beat.actors.len() + known.beat.providers.len()));
    let mut plan = Plan { now, hosts, load: load.collect(), memory, actions: Vec::new() };
    let providers = declared.providers.iter().map(|(id, declared)| Wanted::provider(id.clone(), declared));
    let actors = declared.actors.iter().map(|(id, declared)| Wanted::actor(*id, declared));
    let wanted: Vec<_> =
        providers.chain(actors).filter(|wanted| !declared.unreadable.contains(&wanted.target)).collect();
    standings.clear();
    for wanted in &wanted {
        let (placement, why) = plan.scale(wanted);
        let is_rolling = declared.rolling.contains(&wanted.target);
        if !is_rolling {
            plan.update(wanted);
        }
        plan.resize(wanted);
        let revision = declared.revisions.get(&wanted.target).copied().unwrap_or_default();
        standings.push(Standing { revision, ..plan.standing(wanted, is_rolling, placement, why) });
    }
    plan.stop_undeclared(declared);
    plan.actions
}

impl<'a> Plan<'a> {
    /// Starts what is missing, and stops what is too much once what replaces it runs. Returns where it is to run, and
    /// why not on other hosts.
    fn scale(&mut self, wanted: &Wanted<'_>) -> (Placement, Vec<String>) {
        let target = &wanted.target;
        let running: BTreeSet<HostId> = self.running(target);
        let mut why = Vec::new();
        let views = self.views(target, &running, &mut why);
        let placement = wanted.place(&views);
        for host in placement.hosts.difference(&running) {
            if self.memory.doing(*host, target).is_none() {
                self.start(*host, target, wanted.start.clone());
            }
        }
        let is_complete = placement.hosts.len() == wanted.replicas as usize;
        self.stop_surplus(wanted, &running, &placement.hosts, is_complete);
        (placement, why)
    }

    /// Tells how the target stands, now that it is planned for.
    fn standing(&self, wanted: &Wanted<'_>, is_rolling: bool, placement: Placement, mut why: Vec<String>) -> Standing {
        let target = &wanted.target;
        let runs_so = |host: &&HostId| {
            let instance = self.hosts.get(*host).and_then(|known| instance(&known.beat, target));
            instance.is_some_and(|it| it.is_declared && (is_rolling || it.reference == wanted.reference))
        };
        let serving = placement.hosts.iter().filter(runs_so).count();
        let is_short = serving < wanted.replicas as usize;
        let is_moving = is_rolling || self.is_busy(wanted, &placement) || is_short && self.may_be_tried(target);
        if !is_short {
            why.clear();
        }
        why.splice(0..0, placement.shortages);
        Standing {
            target: target.clone(),
            revision: 0,
            wanted: wanted.replicas,
            running: u32::try_from(serving).unwrap_or(u32::MAX),
            is_settled: !is_moving,
            why,
        }
    }

    /// Whether something is being changed, or waits for its turn.
    fn is_busy(&self, wanted: &Wanted<'_>, placement: &Placement) -> bool {
        let target = &wanted.target;
        let running = self.running(target);
        let is_old = |instance: &Instance<'_>| instance.reference != wanted.reference;
        self.hosts.keys().any(|host| self.memory.doing(*host, target).is_some())
            || !placement.hosts.is_subset(&running)
            || placement.hosts.len() == wanted.replicas as usize && running.len() > placement.hosts.len()
            || !self.hosts_where(target, is_old).is_empty()
    }

    /// Whether a host has only just appeared, or has refused it only once.
    fn may_be_tried(&self, target: &Target) -> bool {
        self.hosts.iter().any(|(host, known)| !self.is_settled(known) || self.memory.refused_once(*host, target))
    }

    /// Returns the hosts with an instance of ours, whatever is to become of it.
    fn running(&self, target: &Target) -> BTreeSet<HostId> {
        let of_ours = |known: &KnownHost| instance(&known.beat, target).is_some_and(|it| it.is_declared);
        self.hosts.iter().filter(|(_, known)| of_ours(known)).map(|(host, _)| *host).collect()
    }

    /// Returns the hosts that may run the target: not those where somebody started it by hand, nor those where it just
    /// failed, nor those that have only just appeared and do not run it.
    fn views(&self, target: &Target, running: &BTreeSet<HostId>, why: &mut Vec<String>) -> Vec<HostView<'a>> {
        let mut views = Vec::new();
        for (host, known) in self.hosts {
            let doing = self.memory.doing(*host, target);
            let runs = running.contains(host) && doing != Some(&Work::Stop) || doing.is_some_and(Work::is_start);
            let refused = self.memory.backs_off(self.now, *host, target);
            why.extend(refused.map(|reason| format!("{host}: {reason}")));
            if !runs {
                if instance(&known.beat, target).is_some_and(|instance| !instance.is_declared) {
                    why.push(format!("{host}: it was started by hand there, and so stays as it is"));
                    continue;
                }
                if running.contains(host) || doing.is_some() || refused.is_some() || !self.is_settled(known) {
                    continue;
                }
            }
            let load = self.load.get(host).copied().unwrap_or_default();
            views.push(HostView { id: *host, labels: &known.beat.labels, draining: known.beat.draining, load, runs });
        }
        views
    }

    fn is_settled(&self, known: &KnownHost) -> bool {
        self.now.saturating_duration_since(known.since) >= SETTLE
    }

    fn start(&mut self, host: HostId, target: &Target, work: Work) {
        if self.memory.busy(host) >= STARTS_AT_ONCE {
            return;
        }
        *self.load.entry(host).or_default() += 1;
        self.act(host, target, work);
    }

    /// Stops as many as run beyond the number that is to run. On a draining host only when nothing is missing: until
    /// then it is better than nothing.
    fn stop_surplus(
        &mut self,
        wanted: &Wanted<'_>,
        running: &BTreeSet<HostId>,
        placed: &BTreeSet<HostId>,
        is_complete: bool,
    ) {
        let target = &wanted.target;
        let (stopping, staying): (Vec<HostId>, Vec<HostId>) =
            running.iter().partition(|host| self.memory.doing(**host, target) == Some(&Work::Stop));
        let surplus = staying.len().saturating_sub(placed.len());
        let may_stop = |host: &HostId| {
            self.hosts.get(host).is_some_and(|known| self.is_settled(known) && (is_complete || !known.beat.draining))
                && !stopping.contains(host)
                && !placed.contains(host)
                && self.memory.doing(*host, target).is_none()
                && self.memory.backs_off(self.now, *host, target).is_none()
        };
        let stop: Vec<HostId> = staying.iter().filter(|host| may_stop(host)).take(surplus).copied().collect();
        for host in stop {
            self.act(host, target, Work::Stop);
        }
    }

    /// Brings one host after the other to the declared version: changes of many at once are rollouts.
    fn update(&mut self, wanted: &Wanted<'_>) {
        let target = &wanted.target;
        let is_updating = |work: Option<&Work>| matches!(work, Some(Work::Update { .. }));
        if self.hosts.keys().any(|host| is_updating(self.memory.doing(*host, target))) {
            return;
        }
        let is_old = |instance: &Instance<'_>| instance.reference != wanted.reference;
        let mut hosts = self.hosts_where(target, is_old).into_iter();
        if let Some(host) = hosts.find(|host| self.memory.busy(*host) < STARTS_AT_ONCE) {
            self.act(host, target, Work::Update { reference: wanted.reference.to_owned() });
        }
    }

    fn resize(&mut self, wanted: &Wanted<'_>) {
        let Some(max_in_flight) = wanted.max_in_flight else { return };
        let is_other = |instance: &Instance<'_>| instance.max_in_flight.is_some_and(|size| size != max_in_flight);
        for host in self.hosts_where(&wanted.target, is_other) {
            self.act(host, &wanted.target, Work::Resize { max_in_flight });
        }
    }

    /// Returns hosts with an instance of ours like that, on which nothing is being done to it.
    fn hosts_where(&self, target: &Target, is_meant: impl Fn(&Instance<'_>) -> bool) -> Vec<HostId> {
        let is_idle = |host: &HostId| {
            self.memory.doing(*host, target).is_none() && self.memory.backs_off(self.now, *host, target).is_none()
        };
        let is_such = |known: &KnownHost| {
            let instance = instance(&known.beat, target).filter(|instance| instance.is_declared);
            !known.beat.draining && instance.is_some_and(|instance| is_meant(&instance))
        };
        let hosts = self.hosts.iter().filter(|(host, known)| is_such(known) && is_idle(host));
        hosts.map(|(host, _)| *host).collect()
    }

    /// Stops instances of ours that are not declared any more.
    fn stop_undeclared(&mut self, declared: &Declared) {
        let mut stop = Vec::new();
        for (host, known) in self.hosts {
            let actors = known.beat.actors.iter().filter(|(id, it)| it.declared && !declared.actors.contains_key(id));
            let providers =
                known.beat.providers.iter().filter(|(id, it)| it.declared && !declared.providers.contains_key(*id));
            let targets = actors.map(|(id, _)| Target::Actor(*id));
            stop.extend(targets.chain(providers.map(|(id, _)| Target::Provider(id.clone()))).map(|id| (*host, id)));
        }
        for (host, target) in stop {
            let is_left_alone = declared.unreadable.contains(&target)
                || self.memory.doing(host, &target).is_some()
                || self.memory.backs_off(self.now, host, &target).is_some();
            if !is_left_alone {
                self.act(host, &target, Work::Stop);
            }
        }
    }

    fn act(&mut self, host: HostId, target: &Target, work: Work) {
        let action = Action { host, target: target.clone(), work };
        self.memory.ask(self.now, &action);
        self.actions.push(action);
    }
}

fn instance<'a>(beat: &'a Beat, target: &Target) -> Option<Instance<'a>> {
    match target {
        Target::Actor(actor) => beat.actors.get(actor).map(|it| Instance {
            reference: &it.reference,
            max_in_flight: Some(it.max_in_flight),
            is_declared: it.declared,
        }),
        Target::Provider(provider) => beat.providers.get(provider).map(|it| Instance {
            reference: &it.reference,
            max_in_flight: None,
            is_declared: it.declared,
        }),
    }
}
