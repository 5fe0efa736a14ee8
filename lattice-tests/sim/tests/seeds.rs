//! Seeds that must do well, and planted faults that must be found.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use wattle_lattice_sim::{Planted, check, run};

/// Seeds of one run of the tests. `cargo xtask sim --seeds N` runs more.
const SEEDS: u64 = 100;
/// Seeds within which a planted fault must be found.
const PLANTED_SEEDS: u64 = 100;

/// Runs seeds on all cores until `stop` says so of one; returns what it said.
fn first<T: Send>(seeds: std::ops::Range<u64>, stop: impl Fn(u64) -> Option<T> + Sync) -> Option<T> {
    let next = AtomicU64::new(seeds.start);
    let search = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return None;
            }
            if let Some(found) = stop(seed) {
                next.store(seeds.end, Ordering::Relaxed);
                return Some(found);
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(search)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).next()
    })
}

/// Runs a seed twice; returns what was wrong.
fn wrong(seed: u64) -> Option<String> {
    let complaints = check(seed, None);
    let list = complaints.join("\n  ");
    (!complaints.is_empty()).then(|| format!("seed {seed}: {list}\nsee it with: cargo xtask sim --seed {seed}"))
}

#[test]
fn every_seed_does_well_and_twice_the_same() {
    assert_eq!(first(1..SEEDS + 1, wrong), None);
}

#[test]
fn seeds_that_found_something_do_well() {
    let kept = [include_str!("../seeds/found.txt")];
    let seeds =
        kept.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let seeds: Vec<u64> = seeds.collect();
    assert!(!seeds.is_empty());
    let count = u64::try_from(seeds.len()).unwrap();
    assert_eq!(first(0..count, |index| wrong(seeds[usize::try_from(index).unwrap()])), None);
}

/// `from` is the seed that is tried first: one that finds it soon.
fn is_found(planted: Planted, from: u64, complaint: &str) {
    let found = first(from..from + PLANTED_SEEDS, |seed| {
        run(seed, Some(planted)).complaints.into_iter().find(|found| found.contains(complaint))
    });
    assert!(found.is_some(), "{planted:?} is not found within {PLANTED_SEEDS} seeds from {from}");
}

#[test]
fn hosts_that_obey_old_leaders_are_found() {
    is_found(Planted::NoFence, 1, "carries out an order of term");
}

#[test]
fn a_store_that_lets_two_writers_win_is_found() {
    is_found(Planted::BothAccepted, 12, "leads as term");
}

#[test]
fn links_that_end_with_what_the_store_has_lost_are_found() {
    is_found(Planted::SilentPurge, 46, "took others away");
}

#[test]
fn calls_without_links_are_found() {
    is_found(Planted::NoLinks, 1, "without a link");
}

#[test]
fn repeated_calls_that_may_run_once_are_found() {
    is_found(Planted::RetryUnknown, 1, "may run once and ran");
}

#[test]
fn requests_that_come_late_are_found() {
    is_found(Planted::LateRequests, 1, "which was confirmed");
}

#[test]
fn requests_that_each_host_takes_are_found() {
    is_found(Planted::OnceByEach, 1, "is carried out twice");
}

#[test]
fn beats_of_strangers_are_found() {
    is_found(Planted::ForgedBeats, 1, "nobody");
}
