//! A host in a network of its own, whose cable is pulled and put back. Needs root and `ip netns`.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::killed::{WORK, workers_on};
use crate::{
    fleet::Beats,
    ground::{Ground, PATIENCE, all_answered, millis},
    load::{Load, Summary},
    process::{read, say},
};

/// How long the cable is out.
const APART: Duration = Duration::from_secs(6);
/// Without a word for two seconds a host is taken for gone; then its work is to be replaced in under three.
const REPLACED_IN: Duration = Duration::from_secs(5);
/// TCP tries again ever more seldom: this long after the heal the host must be back.
const BACK_IN: Duration = Duration::from_secs(15);
const IN_FLIGHT: usize = 8;

/// A network namespace with one cable to us. Taken away when dropped.
struct Namespace {
    name: String,
    cable: String,
}

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let Ok(namespace) = Namespace::make() else {
        say("live: SKIPPED partition: no network namespaces here (they need root and `ip netns`)");
        return Ok(vec!["not tried: no network namespaces".into()]);
    };
    let (lattice, actor, http) = workers_on(ground, Some(&namespace.name))?;
    let reads = Load::start(http, "GET /counter/get", IN_FLIGHT)?;
    let writes = Load::start(http, "POST /counter/post", IN_FLIGHT)?;
    thread::park_timeout(Duration::from_secs(1));
    drop((reads.take(), writes.take()));

    let begun = Instant::now();
    namespace.cable("down")?;
    let elsewhere = |beats: &Beats| {
        let hosts = beats.who_runs(&actor);
        hosts.len() == 2 && !hosts.iter().any(|host| host == "work-1")
    };
    let replaced = lattice.beats.wait("the counter runs on two hosts we reach", PATIENCE, elsewhere)?;
    thread::park_timeout(APART.saturating_sub(begun.elapsed()));
    namespace.cable("up")?;
    let whole = |beats: &Beats| beats.who_runs(&actor) == WORK;
    let back = lattice.beats.wait("the counter is where it is to be", PATIENCE, whole)?;
    thread::park_timeout(Duration::from_secs(2));

    ensure!(replaced < REPLACED_IN, "replaced after {replaced:?}");
    ensure!(back < BACK_IN, "whole again after {back:?}");
    let (reads, writes) = (Summary::of(&reads.stop()?), Summary::of(&writes.stop()?));
    // Those that were on the host when the cable went: they may have run, and nobody can tell.
    let only_unknown = writes.named.keys().all(|name| name.ends_with("outcome_unknown"));
    ensure!(
        only_unknown && writes.failed() <= IN_FLIGHT,
        "POST: more than was in flight at the cut failed: {:?}",
        writes.named
    );
    Ok(vec![
        format!("work-1 cut off for {APART:?}: replaced after {:.2} s", replaced.as_secs_f64()),
        format!("{:.2} s after the heal everything was where it is to be", back.as_secs_f64()),
        // The heal costs nothing: what the host cannot do yet it refuses before it runs, and another does it.
        all_answered("GET, which another host may repeat", &reads)?,
        format!("POST, which may not: {} requests, {:?}, max {}", writes.requests, writes.named, millis(writes.max_us)),
    ])
}

impl Namespace {
    fn make() -> Result<Self> {
        let id = std::process::id() % 10_000;
        let namespace = Self { name: format!("wattle-{id}"), cable: format!("wtl{id}") };
        ip(&format!("netns add {}", namespace.name))?;
        let (name, cable) = (&namespace.name, &namespace.cable);
        ip(&format!("link add {cable} type veth peer name {cable}p"))?;
        ip(&format!("link set {cable}p netns {name}"))?;
        ip(&format!("addr add {GATEWAY}/30 dev {cable}"))?;
        ip(&format!("link set {cable} up"))?;
        ip(&format!("-n {name} addr add {INSIDE}/30 dev {cable}p"))?;
        ip(&format!("-n {name} link set {cable}p up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(namespace)
    }

    /// Pulls the cable, or puts it back.
    fn cable(&self, state: &str) -> Result<()> {
        ip(&format!("link set {} {state}", self.cable))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(ip(&format!("link del {}", self.cable)));
        drop(ip(&format!("netns del {}", self.name)));
    }
}

/// Our end of the cable, and the other one.
pub(super) const GATEWAY: &str = "10.213.77.1";
const INSIDE: &str = "10.213.77.2";

fn ip(words: &str) -> Result<()> {
    read(Command::new("ip").args(words.split(' '))).map(drop)
}
