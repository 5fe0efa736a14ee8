//! What processes use, looked at each second; what grows and grows is told.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

/// How often processes are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at a process that has lived for fewer seconds say nothing about growth.
const LOOKS_MIN: usize = 60;

/// One look at one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    rss_kib: u64,
    threads: u64,
    handles: u64,
}

/// What may be more in the end than in the middle, in percent and as such.
const BOUNDS: [(&str, u64, u64); 3] = [("memory (KiB)", 25, 32 * 1024), ("threads", 0, 8), ("file handles", 0, 32)];

/// Looks at processes each second, until dropped.
#[derive(Debug)]
pub(super) struct Watch {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    /// Which processes there are.
    processes: Vec<(String, u32)>,
    resources: Resources,
}

/// All looks, by process.
#[derive(Debug, Default, Clone)]
pub(super) struct Resources {
    looks: BTreeMap<(String, u32), Vec<Look>>,
}

impl Watch {
    pub(super) fn start() -> Result<Self> {
        let watch = Self { state: Arc::default(), stop: Arc::default() };
        let (state, stop) = (watch.state.clone(), watch.stop.clone());
        let look = move || {
            while !stop.load(Ordering::Acquire) {
                let mut state = lock(&state);
                for (name, id) in state.processes.clone() {
                    state.resources.look(&name, id);
                }
                drop(state);
                thread::park_timeout(LOOK_EVERY);
            }
        };
        thread::Builder::new().name("watch".into()).spawn(look).context("the watch's thread does not start")?;
        Ok(watch)
    }

    /// Says which processes there are from now on.
    pub(super) fn these(&self, processes: Vec<(String, u32)>) {
        lock(&self.state).processes = processes;
    }

    /// Returns what was seen so far.
    pub(super) fn seen(&self) -> Resources {
        lock(&self.state).resources.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resources {
    /// Looks at a process; one that is gone is not looked at.
    fn look(&mut self, name: &str, id: u32) {
        if let Some(look) = look(id) {
            self.looks.entry((name.to_owned(), id)).or_default().push(look);
        }
    }

    /// Returns what grew beyond its bound: the end of a process's life against its middle.
    pub(super) fn grown(&self) -> Vec<String> {
        let long = self.looks.iter().filter(|(_, looks)| looks.len() >= LOOKS_MIN);
        long.flat_map(|((name, id), looks)| {
            let grown = compare(looks).into_iter().filter(|(_, middle, end, most)| end > most && end > middle);
            grown.map(move |(what, middle, end, most)| {
                format!("{name} ({id}): {what} grew from {middle} to {end}, at most {most} is allowed")
            })
        })
        .collect()
    }

    /// Describes the processes that lived long enough, in lines.
    pub(super) fn describe(&self) -> Vec<String> {
        let long = self.looks.iter().filter(|(_, looks)| looks.len() >= LOOKS_MIN);
        long.map(|((name, id), looks)| {
            let parts = compare(looks).map(|(what, middle, end, most)| format!("{what} {middle} -> {end} (<= {most})"));
            format!("{name} ({id}), {} s: {}", looks.len(), parts.join(", "))
        })
        .collect()
    }
}

/// Returns for each resource its name, the median of the second quarter, that of the last fifth, and the bound for it.
fn compare(looks: &[Look]) -> [(&'static str, u64, u64, u64); 3] {
    let part = |from: usize, to: usize| looks.get(looks.len() * from / 100..looks.len() * to / 100).unwrap_or_default();
    let (middle, end) = (part(25, 50), part(80, 100));
    let fields: [fn(&Look) -> u64; 3] = [|look| look.rss_kib, |look| look.threads, |look| look.handles];
    let mut result = [("", 0, 0, 0); 3];
    for ((slot, field), (what, percent, more)) in result.iter_mut().zip(fields).zip(BOUNDS) {
        let (middle, end) = (median(middle, field), median(end, field));
        *slot = (what, middle, end, middle + middle * percent / 100 + more);
    }
    result
}

fn median(looks: &[Look], field: fn(&Look) -> u64) -> u64 {
    let mut values: Vec<u64> = looks.iter().map(field).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn look(id: u32) -> Option<Look> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let handles = fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as u64;
    Some(Look { rss_kib: number("VmRSS:")?, threads: number("Threads:")?, handles })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rss: impl Fn(u64) -> u64) -> Resources {
        let looks = (0..100).map(|at| Look { rss_kib: rss(at), threads: 4, handles: 20 }).collect();
        Resources { looks: BTreeMap::from([(("host".to_owned(), 1), looks)]) }
    }

    #[test]
    fn growth_is_told_and_a_warm_up_is_not() {
        assert!(of(|at| 50_000 + 4_000 * at.min(20)).grown().is_empty());
        assert_eq!(of(|at| 50_000 + 4_000 * at).grown().len(), 1);
    }

    #[test]
    fn our_own_process_can_be_looked_at() {
        let look = look(std::process::id()).unwrap();
        assert!(look.rss_kib > 0 && look.threads > 0 && look.handles > 2);
    }
}
