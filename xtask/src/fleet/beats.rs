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
    #[serde(default)]
    last: bool,
    #[serde(default)]
    draining: bool,
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
    at: Instant,
}

type Hosts = Arc<Mutex<BTreeMap<String, Seen>>>;

/// Listens until dropped; comes back when NATS does.
#[derive(Debug)]
pub(crate) struct Beats {
    hosts: Hosts,
    stop: Arc<AtomicBool>,
}

impl Beats {
    pub(crate) fn listen(port: u16) -> Result<Self> {
        let beats = Self { hosts: Hosts::default(), stop: Arc::default() };
        let (hosts, stop) = (beats.hosts.clone(), beats.stop.clone());
        let listen = move || {
            while !stop.load(Ordering::Acquire) {
                // However it ended: the connection begins anew.
                drop(follow(port, &hosts, &stop));
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

    /// Returns the id of a host.
    pub(crate) fn id_of(&self, name: &str) -> Option<String> {
        self.lock().get(name).map(|seen| seen.beat.host.clone())
    }

    /// Takes a host that was killed for gone at once, as nothing it told is true any more.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Takes all hosts for gone, until they are heard again.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Waits until something holds, and returns how long that took.
    pub(crate) fn wait(&self, what: &str, patience: Duration, holds: impl Fn(&Self) -> bool) -> Result<Duration> {
        let begun = Instant::now();
        while !holds(self) {
            if begun.elapsed() > patience {
                bail!("{what}: not so after {patience:?}; there are {:?}", self.lock().values().collect::<Vec<_>>());
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(begun.elapsed())
    }

    fn those(&self, is_meant: impl Fn(&Beat) -> bool) -> Vec<String> {
        let is_there = |seen: &&Seen| !seen.beat.last && seen.at.elapsed() < SILENT_AFTER;
        let hosts = self.lock();
        let those = hosts.values().filter(is_there).filter(|seen| is_meant(&seen.beat));
        those.map(|seen| seen.beat.name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the hosts that take new work.
    pub(crate) fn ready(&self) -> Vec<String> {
        self.those(|beat| !beat.draining)
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn follow(port: u16, hosts: &Hosts, stop: &AtomicBool) -> Result<()> {
    let mut wire = Wire::connect(port)?;
    wire.subscribe("wasmbus.beat.default.*")?;
    while !stop.load(Ordering::Acquire) {
        let Some(message) = wire.next(Instant::now() + Duration::from_millis(100))? else { continue };
        let Ok(beat) = serde_json::from_slice::<Beat>(&message.payload) else { continue };
        let mut hosts = hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let order = |beat: &Beat| (beat.incarnation, beat.version);
        if hosts.get(&beat.name).is_none_or(|seen| order(&seen.beat) <= order(&beat)) {
            hosts.insert(beat.name.clone(), Seen { beat, at: Instant::now() });
        }
    }
    Ok(())
}
