//! How busy what runs here is, counted only while somebody looks: `wattle top`.
//!
//! While nobody does, a call costs one atomic read more. What nobody has called holds no counters.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use wattle_types::control::{HostLoad, SlotLoad};

use crate::{actor::ActorSlot, host::Host, meter::Meter, provider::ProviderSlot};

/// Actors and providers told of in one answer, each with at most 128 pairs of numbers: together well below the megabyte
/// a NATS message may have.
const TOLD_MAX: usize = 256;
/// How long counting goes on after the last question.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Whether calls are counted.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    on: AtomicBool,
    asked: Mutex<Option<Instant>>,
}

impl Counting {
    /// Returns whether calls are counted now.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Counts from now on, for a while.
    fn ask(&self, now: Instant) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.on.store(true, Ordering::Relaxed);
    }

    /// Counts no longer if the last question was long ago. What was counted stays.
    pub(crate) fn end_if_forgotten(&self, now: Instant) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_none_or(|asked| now.saturating_duration_since(asked) > FORGOTTEN_AFTER) {
            self.on.store(false, Ordering::Relaxed);
        }
    }
}

/// Counters that are made when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Counted(OnceLock<Box<Meter>>);

impl Counted {
    /// Counts one call.
    pub(crate) fn record(&self, took: Duration, failed: bool) {
        self.0.get_or_init(Box::default).record(took, failed);
    }
}

impl Host {
    /// Returns how busy this host is, and counts calls from now on.
    pub(crate) fn load(&self) -> HostLoad {
        self.dispatcher().counting().ask(crate::dispatch::now());
        let state = self.state();
        let mut actors: Vec<_> = state.actors.iter().map(|slot| of_actor(slot)).collect();
        let mut providers: Vec<_> = state.providers.values().map(|slot| of_provider(slot)).collect();
        drop(state);
        let all = actors.len() + providers.len();
        keep_busiest(&mut providers, TOLD_MAX / 2);
        keep_busiest(&mut actors, TOLD_MAX - providers.len());
        HostLoad {
            host_id: self.id().to_string(),
            friendly_name: self.config().friendly_name.clone(),
            at_ms: u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX),
            resident_bytes: resident_bytes(),
            left_out: (all - actors.len() - providers.len()) as u64,
            actors,
            providers,
        }
    }
}

/// Keeps so many, the most called first; of those that were called equally often, the first by id.
fn keep_busiest(slots: &mut Vec<SlotLoad>, count: usize) {
    slots.sort_by(|left, right| (right.calls, &left.id).cmp(&(left.calls, &right.id)));
    slots.truncate(count);
}

fn of_actor(slot: &ActorSlot) -> SlotLoad {
    let (current, trial) = (slot.slot.current(), slot.slot.trial());
    let on_trial = trial.as_ref().map_or(0, |trial| trial.in_flight());
    SlotLoad {
        name: current.facts.name.clone(),
        in_flight: (current.in_flight() + on_trial) as u64,
        waiting: slot.admission.load().waiting() as u64,
        ..counts(slot.id.to_string(), current.number(), &slot.counted)
    }
}

fn of_provider(slot: &ProviderSlot) -> SlotLoad {
    let current = slot.slot.current();
    SlotLoad { in_flight: current.in_flight() as u64, ..counts(slot.id.to_string(), current.number(), &slot.counted) }
}

fn counts(id: String, generation: u64, counted: &Counted) -> SlotLoad {
    let (calls, failed, latency) = counted.0.get().map(|meter| meter.counts()).unwrap_or_default();
    SlotLoad { id, name: None, generation, in_flight: 0, waiting: 0, calls, failed, latency }
}

/// Returns this process's resident memory, where the kernel tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_ends_a_while_after_the_last_question() {
        let counting = Counting::default();
        let begun = crate::dispatch::now();
        assert!(!counting.is_on());
        counting.ask(begun);
        counting.end_if_forgotten(begun + FORGOTTEN_AFTER);
        assert!(counting.is_on());
        counting.end_if_forgotten(begun + FORGOTTEN_AFTER + Duration::from_millis(1));
        assert!(!counting.is_on());
    }

    #[test]
    fn the_busiest_are_told_of() {
        let slot = |id: &str, calls| SlotLoad { calls, ..counts(id.to_owned(), 1, &Counted::default()) };
        let mut slots = vec![slot("a", 1), slot("b", 5), slot("c", 5), slot("d", 0)];
        keep_busiest(&mut slots, 3);
        assert_eq!(slots.iter().map(|slot| slot.id.as_str()).collect::<Vec<_>>(), ["b", "c", "a"]);
    }

    #[test]
    fn what_nobody_called_has_no_counters() {
        let counted = Counted::default();
        assert_eq!(counts("a".into(), 1, &counted).latency, []);
        assert!(counted.0.get().is_none());
        counted.record(Duration::from_micros(100), true);
        let seen = counts("a".into(), 1, &counted);
        assert_eq!((seen.calls, seen.failed, seen.latency.len()), (1, 1, 1));
    }
}
