//! What a leader remembers between two plans: what it asked for, and what failed where.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use wattle_types::HostId;

use super::{Action, Work};
use crate::{directory::DirectorySnapshot, spec::Target};

/// How long an action may take before it counts as lost.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long after its end the host's notice may take to show it.
const SHOWS_WITHIN: Duration = Duration::from_secs(5);
/// The first wait after a failure; each further one doubles it.
const BACK_OFF: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// How long after its wait a failure is still remembered.
const FORGET_AFTER: Duration = Duration::from_secs(300);

type Place = (HostId, Target);

#[derive(Debug)]
struct Asked {
    work: Work,
    until: Instant,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    until: Instant,
    why: String,
}

/// Bounded by hosts times targets: hosts that are gone are forgotten.
#[derive(Debug, Default)]
pub(super) struct Memory {
    asked: BTreeMap<HostId, BTreeMap<Target, Asked>>,
    failed: BTreeMap<Place, Failed>,
}

impl Memory {
    /// Forgets what is over: what took too long has failed, what the host's notice shows is done.
    pub(super) fn forget(&mut self, now: Instant, hosts: &DirectorySnapshot) {
        let is_known = |host: &HostId| hosts.hosts().contains_key(host);
        self.failed.retain(|(host, _), failed| is_known(host) && now < failed.until + FORGET_AFTER);
        self.asked.retain(|host, asked| {
            asked.retain(|target, asked| now < asked.until && !is_done(hosts, host, target, &asked.work));
            is_known(host) && !asked.is_empty()
        });
    }

    pub(super) fn ask(&mut self, now: Instant, action: &Action) {
        let asked = Asked { work: action.work.clone(), until: now + DEADLINE };
        self.asked.entry(action.host).or_default().insert(action.target.clone(), asked);
    }

    pub(super) fn outcome(&mut self, now: Instant, action: &Action, result: Result<(), String>) {
        let place = (action.host, action.target.clone());
        let of_host = self.asked.entry(action.host).or_default();
        match result {
            Ok(()) => {
                self.failed.remove(&place);
                if let Some(asked) = of_host.get_mut(&action.target).filter(|asked| asked.work == action.work) {
                    asked.until = asked.until.min(now + SHOWS_WITHIN);
                }
            }
            Err(why) => {
                of_host.remove(&action.target);
                let times = self.failed.get(&place).map_or(0, |failed| failed.times).saturating_add(1);
                let wait = BACK_OFF.saturating_mul(1 << (times - 1).min(6)).min(BACK_OFF_MAX);
                self.failed.insert(place, Failed { times, until: now + wait, why });
            }
        }
    }

    /// Returns what the host is doing with the target.
    pub(super) fn doing(&self, host: HostId, target: &Target) -> Option<&Work> {
        self.asked.get(&host)?.get(target).map(|asked| &asked.work)
    }

    /// Returns why the host is not to be asked about the target now.
    pub(super) fn backs_off(&self, now: Instant, host: HostId, target: &Target) -> Option<&str> {
        let failed = self.failed.get(&(host, target.clone())).filter(|failed| now < failed.until)?;
        Some(&failed.why)
    }

    /// Whether the host has failed at the target once, and is to be asked again.
    pub(super) fn refused_once(&self, host: HostId, target: &Target) -> bool {
        self.failed.get(&(host, target.clone())).is_some_and(|failed| failed.times == 1)
    }

    /// Returns how many starts and updates the host is busy with.
    pub(super) fn busy(&self, host: HostId) -> usize {
        let of_host = self.asked.get(&host).into_iter().flat_map(BTreeMap::values);
        of_host.filter(|asked| asked.work.is_heavy()).count()
    }
}

impl Work {
    /// Whether it may fetch and compile.
    pub(super) const fn is_heavy(&self) -> bool {
        matches!(self, Self::StartActor { .. } | Self::StartProvider { .. } | Self::Update { .. })
    }

    pub(super) const fn is_start(&self) -> bool {
        matches!(self, Self::StartActor { .. } | Self::StartProvider { .. })
    }
}

/// Whether the host's notice shows that an action has been carried out.
fn is_done(hosts: &DirectorySnapshot, host: &HostId, target: &Target, work: &Work) -> bool {
    let Some(known) = hosts.hosts().get(host) else { return false };
    let (runs, reference, size) = match target {
        Target::Actor(actor) => {
            let running = known.beat.actors.get(actor);
            (running.is_some(), running.map(|it| &it.reference), running.map(|it| it.max_in_flight))
        }
        Target::Provider(provider) => {
            let running = known.beat.providers.get(provider);
            (running.is_some(), running.map(|it| &it.reference), None)
        }
    };
    match work {
        Work::StartActor { .. } | Work::StartProvider { .. } => runs,
        Work::Stop => !runs,
        Work::Resize { max_in_flight } => !runs || size == Some(*max_in_flight),
        Work::Update { reference: wanted } => !runs || reference == Some(wanted),
    }
}
