//! What the hosts of a fleet tell of themselves, heard as any host hears it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::IgnoredAny};

use super::Wire;

/// A host that was not heard for so long is not there.
const SILENT_AFTER: Duration = Duration::from_millis(1600);
/// How often somebody who waits for something looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The parts of a beat that are looked at.
#[derive(Debug, Clone, Deserialize)]
struct Beat {
    host: String,
    name: String,
    incarnation: u64,
    version: u64,
    /// Nothing has changed since the whole notice of this version.
    #[serde(default)]
    brief: bool,
    #[serde(default)]
    last: bool,
    #[serde(default)]
    actors: BTreeMap<String, Running>,
    #[serde(default)]
    providers: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
struct Running {
    reference: String,
}

#[derive(Debug, Clone)]
struct Seen {
    beat: Beat,
    /// When it was heard last; `None` once it was taken for gone.
    at: Option<Instant>,
}

/// The entry that says who leads.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Lease {
    pub(crate) host: String,
    pub(crate) term: u64,
}

#[derive(Debug, Default)]
struct State {
    hosts: BTreeMap<String, Seen>,
    /// The last lease that was asked to be written, and by when. The store may have refused it.
    lease: Option<Lease>,
}

impl State {
    fn heard(&mut self, beat: Beat) {
        let order = |beat: &Beat| (beat.incarnation, beat.version);
        let known = self.hosts.get_mut(&beat.name);
        match known {
            Some(seen) if order(&seen.beat) > order(&beat) => {}
            Some(seen) if beat.brief && order(&seen.beat) == order(&beat) => seen.at = Some(Instant::now()),
            _ if beat.brief => {}
            _ => drop(self.hosts.insert(beat.name.clone(), Seen { beat, at: Some(Instant::now()) })),
        }
    }
}

type Shared = Arc<Mutex<State>>;

/// Listens until dropped; comes back when NATS does.
#[derive(Debug)]
pub(crate) struct Beats {
    state: Shared,
    stop: Arc<AtomicBool>,
}

impl Beats {
    pub(crate) fn listen(port: u16) -> Result<Self> {
        let beats = Self { state: Shared::default(), stop: Arc::default() };
        let (state, stop) = (beats.state.clone(), beats.stop.clone());
        let listen = move || {
            while !stop.load(Ordering::Acquire) {
                // However it ended: the connection begins anew.
                drop(follow(port, &state, &stop));
                thread::park_timeout(Duration::from_millis(20));
            }
        };
        thread::Builder::new().name("beats".into()).spawn(listen).context("the thread for beats does not start")?;
        Ok(beats)
    }

    /// Returns the names of the hosts that are there.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.those(|_| true)
    }

    /// Returns the names of the hosts that run an actor or provider, whether or not they are leaving.
    pub(crate) fn who_runs(&self, id: &str) -> Vec<String> {
        self.those(|beat| beat.actors.contains_key(id) || beat.providers.contains_key(id))
    }

    /// Returns the names of the hosts that run an actor from this file.
    pub(crate) fn who_runs_version(&self, id: &str, file: &str) -> Vec<String> {
        self.those(|beat| beat.actors.get(id).is_some_and(|running| running.reference.ends_with(file)))
    }

    /// Returns the name of the host that leads, as far as is known, and its term.
    pub(crate) fn leader(&self) -> Option<(String, u64)> {
        let state = self.lock();
        let lease = state.lease.as_ref()?;
        let seen = state.hosts.values().find(|seen| seen.beat.host == lease.host)?;
        Some((seen.beat.name.clone(), lease.term))
    }

    /// Returns the last lease that was seen.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.lock().lease.clone()
    }

    /// Takes a host that was killed for gone at once, as nothing it told is true any more.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().hosts.remove(name);
    }

    /// Takes all hosts for gone, until they are heard again.
    pub(crate) fn forget_all(&self) {
        self.lock().hosts.values_mut().for_each(|seen| seen.at = None);
    }

    /// Waits until something holds, and returns how long that took.
    pub(crate) fn wait(&self, what: &str, patience: Duration, holds: impl Fn(&Self) -> bool) -> Result<Duration> {
        let begun = Instant::now();
        while !holds(self) {
            if begun.elapsed() > patience {
                bail!(
                    "{what}: not so after {patience:?}; there are {:?}",
                    self.lock().hosts.values().collect::<Vec<_>>()
                );
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(begun.elapsed())
    }

    fn those(&self, is_meant: impl Fn(&Beat) -> bool) -> Vec<String> {
        let is_there = |seen: &&Seen| !seen.beat.last && seen.at.is_some_and(|at| at.elapsed() < SILENT_AFTER);
        let state = self.lock();
        let those = state.hosts.values().filter(is_there).filter(|seen| is_meant(&seen.beat));
        those.map(|seen| seen.beat.name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn follow(port: u16, state: &Shared, stop: &AtomicBool) -> Result<()> {
    let mut wire = Wire::connect(port)?;
    wire.subscribe("wasmbus.beat.default.*")?;
    wire.subscribe("$KV.LATTICEDATA_default.WATTLE_LEADER")?;
    while !stop.load(Ordering::Acquire) {
        let Some(message) = wire.next(Instant::now() + Duration::from_millis(100))? else { continue };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if message.subject.starts_with('$') {
            state.lease = serde_json::from_slice(&message.payload).ok().or(state.lease.take());
            continue;
        }
        let Ok(beat) = serde_json::from_slice::<Beat>(&message.payload) else { continue };
        state.heard(beat);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_notice_keeps_what_the_whole_one_told() {
        let beats = Beats { state: Shared::default(), stop: Arc::default() };
        let hear = |text: &str| beats.lock().heard(serde_json::from_str(text).unwrap());
        hear(r#"{"host":"N","name":"a","incarnation":1,"version":2,"brief":true}"#);
        assert!(beats.hosts().is_empty(), "nothing is known of it yet");
        hear(r#"{"host":"N","name":"a","incarnation":1,"version":2,"actors":{"M":{"reference":"x/one.wasm"}}}"#);
        hear(r#"{"host":"N","name":"a","incarnation":1,"version":2,"brief":true}"#);
        assert_eq!(
            (beats.who_runs("M"), beats.who_runs_version("M", "one.wasm")),
            (vec!["a".into()], vec!["a".into()])
        );
        beats.forget_all();
        assert!(beats.hosts().is_empty());
        hear(r#"{"host":"N","name":"a","incarnation":1,"version":2,"brief":true}"#);
        assert_eq!(beats.who_runs("M"), ["a"]);
        hear(r#"{"host":"N","name":"a","incarnation":1,"version":3,"last":true}"#);
        assert!(beats.hosts().is_empty());
    }
}
