//! What a simulated host has instead of an engine: which versions run, and how they have done.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

use wattle_lattice::{
    beat::{RunningActor, RunningProvider},
    node::Told,
    rpc,
};
use wattle_types::{
    ActorId, ProviderId,
    control::{Measurement, Reading},
};

/// Latencies kept of one version.
const SAMPLES_MAX: usize = 1000;
/// Calls at once, when nobody says.
pub(crate) const IN_FLIGHT: u32 = 100;

/// An actor or provider, as somewhere to call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Actor(ActorId),
    Provider(ProviderId),
}

impl Place {
    pub(crate) fn of(target: &rpc::Target) -> Self {
        match target {
            rpc::Target::Actor { actor, .. } => Self::Actor(*actor),
            rpc::Target::Provider { provider, .. } => Self::Provider(provider.clone()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actor(actor) => actor.fmt(f),
            Self::Provider(provider) => provider.fmt(f),
        }
    }
}

/// How a version has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    calls: u64,
    failed: u64,
    micros: VecDeque<u64>,
}

impl Meter {
    pub(crate) fn record(&mut self, took: Duration, failed: bool) {
        self.calls += 1;
        self.failed += u64::from(failed);
        if self.micros.len() == SAMPLES_MAX {
            self.micros.pop_front();
        }
        self.micros.push_back(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn read(&self) -> Reading {
        let mut micros: Vec<u64> = self.micros.iter().copied().collect();
        micros.sort_unstable();
        let p99_us = micros.get(micros.len().saturating_sub(1 + micros.len() / 100)).copied().unwrap_or_default();
        Reading { calls: self.calls, failed: self.failed, p99_us }
    }
}

/// One version that takes calls.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) reference: String,
    pub(crate) meter: Meter,
}

impl Generation {
    pub(crate) fn new(reference: &str) -> Self {
        Self { reference: reference.to_owned(), meter: Meter::default() }
    }
}

/// One actor or provider on one host.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) current: Generation,
    /// The version on trial, and how many of 100 calls it takes.
    pub(crate) trial: Option<(Generation, u8)>,
    replaced: Option<Reading>,
    pub(crate) max_in_flight: u32,
    pub(crate) running: u32,
    pub(crate) declared: bool,
}

impl Slot {
    pub(crate) fn new(reference: &str, max_in_flight: u32, declared: bool) -> Self {
        let current = Generation::new(reference);
        Self { current, trial: None, replaced: None, max_in_flight, running: 0, declared }
    }

    /// Replaces the running version.
    pub(crate) fn replace(&mut self, next: Generation) {
        let old = std::mem::replace(&mut self.current, next);
        // An order that came twice does not make a version the one it is compared with.
        if old.reference != self.current.reference {
            self.replaced = Some(old.meter.read());
        }
    }

    /// Begins a trial.
    pub(crate) fn try_out(&mut self, reference: &str, percent: u8) {
        self.current.meter = Meter::default();
        self.trial = Some((Generation::new(reference), percent));
    }

    /// Makes the version on trial the only one; there must be one.
    pub(crate) fn promote(&mut self) -> bool {
        let Some((trial, _)) = self.trial.take() else { return false };
        self.replace(trial);
        true
    }

    /// Returns the version that takes a call; `drawn` is a number below 100.
    pub(crate) fn choose(&self, drawn: usize) -> &str {
        match &self.trial {
            Some((trial, percent)) if drawn < usize::from(*percent) => &trial.reference,
            _ => &self.current.reference,
        }
    }

    /// Counts a call of a version, if that still runs.
    pub(crate) fn record(&mut self, reference: &str, took: Duration, failed: bool) {
        let trial = self.trial.as_mut().map(|(trial, _)| trial);
        if let Some(of) = trial.into_iter().chain([&mut self.current]).find(|of| of.reference == reference) {
            of.meter.record(took, failed);
        }
    }

    pub(crate) fn measure(&self) -> Measurement {
        let reference = self.current.reference.clone();
        let now = self.current.meter.read();
        match &self.trial {
            Some((trial, _)) => {
                Measurement { old: Some(now), new: trial.meter.read(), reference, trial: Some(trial.reference.clone()) }
            }
            None => Measurement { old: self.replaced, new: now, reference, trial: None },
        }
    }
}

/// What one process of a host runs.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) slots: BTreeMap<Place, Slot>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Calls under way that began here.
    pub(crate) calling: u32,
    /// Takes no new work; what it has moves away.
    pub(crate) leaving: bool,
    /// Refuses everything.
    pub(crate) closing: bool,
}

impl Model {
    pub(crate) fn told(&self) -> Told {
        let mut told = Told { draining: self.leaving || self.closing, labels: self.labels.clone(), ..Told::default() };
        for (place, slot) in &self.slots {
            let (reference, declared) = (slot.current.reference.clone(), slot.declared);
            match place {
                Place::Actor(actor) => {
                    let revision = crate::names::Version::parse(&reference).map_or(0, |version| version.number);
                    let max_in_flight = slot.max_in_flight;
                    let trial = slot.trial.as_ref().map(|(trial, _)| trial.reference.clone());
                    let running =
                        RunningActor { reference, trial, revision, max_in_flight, call_alias: None, declared };
                    told.actors.insert(*actor, running);
                }
                Place::Provider(provider) => {
                    let repeatable = ["read".to_owned()].into();
                    told.providers.insert(provider.clone(), RunningProvider { reference, declared, repeatable });
                }
            }
        }
        told
    }

    /// Returns how much of what is declared runs here.
    pub(crate) fn declared(&self) -> usize {
        self.slots.values().filter(|slot| slot.declared).count()
    }

    /// Whether no call is under way, neither taken nor made.
    pub(crate) fn is_idle(&self) -> bool {
        self.running() == 0 && self.calling == 0
    }

    pub(crate) fn running(&self) -> u32 {
        self.slots.values().map(|slot| slot.running).sum()
    }
}
