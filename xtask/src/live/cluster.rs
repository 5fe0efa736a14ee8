//! Three nats-servers that are one: any one of them may die.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::killed::WORK;
use crate::{
    fleet::{Beats, Fleet, Nats, Wire, free_port},
    ground::{Ground, KEYVALUE, PATIENCE, all_answered, counter, millis, until_answered, web},
    load::{Load, Summary},
};

/// How long is looked on after a server died, or came back.
const AFTER: Duration = Duration::from_secs(5);
/// How long clients of a server that died may take to find another.
const ELSEWHERE_IN: Duration = Duration::from_secs(1);
const IN_FLIGHT: usize = 8;
const NODES: usize = 3;

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let folder = ground.folder()?;
    let mut cluster = cluster(ground, &folder)?;
    let urls: Vec<_> = cluster.iter().map(Nats::url).collect();
    let mut fleet = ground.fleet(&folder, &urls.join(","))?;
    for host in WORK {
        fleet.start_host(host, &["role=work"])?;
    }
    fleet.start_host("front", &["role=front"])?;
    // The first server lives on: we listen there.
    let beats = Beats::listen(cluster.first().context("no server")?.port)?;
    beats.wait("all hosts are there", PATIENCE, |beats| beats.hosts().len() == NODES)?;
    let actor = counter(&fleet, &["--replicas", "2", "--constraint", "role=work"])?;
    fleet.wattle(&["start", "provider", "keyvalue-memory", "--id", "store", "--host", "front"])?;
    fleet.wattle(&["link", "put", &actor, "store", KEYVALUE])?;
    let http = web(&fleet, "front", &actor)?;
    until_answered(http, PATIENCE)?;
    let load = Load::start(http, "GET /counter/get", IN_FLIGHT)?;
    let mut figures = Vec::new();
    for nats in cluster.iter_mut().skip(1) {
        figures.extend(lose(nats, &fleet, &load)?);
    }
    Ok(figures)
}

/// Starts the servers and waits until they can keep something.
fn cluster(ground: &Ground<'_>, folder: &Path) -> Result<Vec<Nats>> {
    let ports = (0..NODES).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
    let routes = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>();
    let mut cluster = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let routes = routes.join(",");
        let words = ["--cluster_name", "live", "--cluster", route, "--routes", &routes].map(str::to_owned).to_vec();
        let mut nats = Nats::new(&ground.servers.nats, folder, &format!("nats-{index}"), words)?;
        nats.spawn()?;
        cluster.push(nats);
    }
    for nats in &mut cluster {
        nats.wait_ready()?;
    }
    wait_leader(cluster.first().context("no server")?.port)?;
    Ok(cluster)
}

/// Waits until a server reaches those who keep things.
fn wait_leader(port: u16) -> Result<()> {
    let begun = Instant::now();
    while !has_leader(port) {
        if begun.elapsed() > PATIENCE {
            bail!("the servers do not find each other");
        }
        thread::park_timeout(Duration::from_millis(100));
    }
    Ok(())
}

/// Whether the servers have chosen who decides what is kept where.
fn has_leader(port: u16) -> bool {
    let asked = Wire::connect(port).and_then(|mut wire| wire.request("$JS.API.INFO", b"", Duration::from_secs(1)));
    asked.is_ok_and(|answer| {
        !answer.payload.is_empty() && !String::from_utf8_lossy(&answer.payload).contains("\"error\"")
    })
}

/// Kills one server of the cluster, and brings it back.
fn lose(nats: &mut Nats, fleet: &Fleet, load: &Load) -> Result<Vec<String>> {
    let name = nats.name().to_owned();
    drop(load.take());
    thread::park_timeout(Duration::from_secs(1));
    all_answered("before", &Summary::of(&load.take()))?;
    let killed = Instant::now();
    nats.kill()?;
    thread::park_timeout(AFTER);
    let samples = load.take();
    let seen = Summary::of(&samples);
    // Whoever was connected there says so until he is connected elsewhere.
    let is_named = |named: &String| named.ends_with("bus_disconnected") || named.ends_with("outcome_unknown");
    ensure!(seen.named.keys().all(is_named), "{name} killed: {:?}", seen.named);
    let later = Summary::between(&samples, killed + ELSEWHERE_IN, Instant::now());
    all_answered(&format!("{ELSEWHERE_IN:?} after {name} was killed"), &later)?;
    let first =
        format!("{name} killed: {} requests, failed: {:?}, max {}", seen.requests, seen.named, millis(seen.max_us));
    // Two of three are enough to change things, once they have agreed on who keeps them.
    let begun = Instant::now();
    while let Err(refused) =
        fleet.try_wattle(&["scale", "provider", "keyvalue-memory", "--id", &name, "--replicas", "1"])?
    {
        ensure!(refused.code.starts_with("kv_"), "refused as {}: {}", refused.code, refused.message);
        ensure!(begun.elapsed() < PATIENCE, "nothing can be changed: {}: {}", refused.code, refused.message);
    }
    let changed = (AFTER + begun.elapsed()).as_secs_f64();
    nats.start()?;
    thread::park_timeout(AFTER);
    drop(load.take());
    thread::park_timeout(AFTER);
    Ok(vec![
        first,
        all_answered(&format!("changed after {changed:.1} s without {name}; it is back"), &Summary::of(&load.take()))?,
    ])
}
