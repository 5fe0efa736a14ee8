//! Hosts behind leaf nodes: one without a JetStream, one with its own. The lattice's state stays at the hub.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::killed::WORK;
use crate::{
    fleet::{Beats, Nats, free_port},
    ground::{Ground, KEYVALUE, PATIENCE, all_answered, counter, until_answered, web},
    load::{Load, Summary},
};

const DOMAIN: &str = "hub";
/// How long is looked on.
const FOR: Duration = Duration::from_secs(3);
/// Without a word for two seconds a host is taken for gone.
const GONE_IN: Duration = Duration::from_secs(5);
/// A leaf tries again every second to reach its hub, its hosts at least every four to reach the leaf.
const BACK_IN: Duration = Duration::from_secs(10);
const IN_FLIGHT: usize = 8;

pub(super) fn check(ground: &Ground<'_>) -> Result<Vec<String>> {
    let folder = ground.folder()?;
    let (hub, mut leaves) = servers(ground, &folder)?;
    let mut fleet = ground.fleet(&folder, &hub.url())?;
    let beats = Beats::listen(hub.port)?;
    fleet.start_host("front", &["role=front"])?;
    for (leaf, host) in leaves.iter().zip(WORK) {
        fleet.start_host_behind(host, &["role=work"], &leaf.url(), DOMAIN)?;
    }
    beats.wait("all hosts are there", PATIENCE, |beats| beats.hosts().len() == WORK.len() + 1)?;
    let actor = counter(&fleet, &["--replicas", "2", "--constraint", "role=work"])?;
    fleet.wattle(&["start", "provider", "keyvalue-memory", "--id", "store", "--host", "front"])?;
    fleet.wattle(&["link", "put", &actor, "store", KEYVALUE])?;
    let mut figures = Vec::new();
    let mut front = None;
    for host in ["front", "work-1", "work-2"] {
        let http = web(&fleet, host, &actor)?;
        until_answered(http, PATIENCE)?;
        let load = Load::start(http, "GET /counter/get", IN_FLIGHT)?;
        thread::park_timeout(FOR);
        figures.push(all_answered(&format!("through {host}"), &Summary::of(&load.stop()?))?);
        front = front.or(Some(http));
    }
    let load = Load::start(front.context("no address")?, "GET /counter/get", IN_FLIGHT)?;
    let leaf = leaves.first_mut().context("no leaf")?;
    let begun = Instant::now();
    leaf.kill()?;
    let left = beats.wait("the host at the leaf is gone", PATIENCE, |beats| beats.who_runs(&actor) == ["work-2"])?;
    thread::park_timeout(FOR);
    drop(load.take());
    thread::park_timeout(FOR);
    figures.push(all_answered("without one leaf", &Summary::of(&load.take()))?);
    leaf.start()?;
    let back = beats.wait("the host at the leaf is back", PATIENCE, |beats| beats.who_runs(&actor) == WORK)?;
    thread::park_timeout(FOR);
    drop(load.take());
    thread::park_timeout(FOR);
    figures.push(all_answered("with it again", &Summary::of(&load.stop()?))?);
    ensure!(left < GONE_IN && back < BACK_IN, "gone after {left:?}, back after {back:?}");
    figures.push(format!(
        "a leaf gone for {:.0} s: its host was gone after {:.1} s, and back {:.1} s after the leaf",
        begun.elapsed().saturating_sub(back + FOR * 2).as_secs_f64(),
        left.as_secs_f64(),
        back.as_secs_f64()
    ));
    Ok(figures)
}

/// Starts a hub and two leaf nodes.
fn servers(ground: &Ground<'_>, folder: &Path) -> Result<(Nats, [Nats; 2])> {
    let at = free_port()?;
    let start = |name: &str, lines: &str, keeps: bool| -> Result<Nats> {
        let file = folder.join(format!("{name}.conf"));
        fs::write(&file, lines)?;
        let nats = Nats::new(&ground.servers.nats, folder, name, vec!["-c".into(), file.display().to_string()])?;
        let mut nats = if keeps { nats } else { nats.keeping_nothing() };
        nats.start()?;
        Ok(nats)
    };
    let remote = format!("leafnodes {{ remotes: [ {{ url: \"nats://127.0.0.1:{at}\" }} ], reconnect: 1 }}");
    let hub_lines = format!("jetstream {{ domain: {DOMAIN} }}\nleafnodes {{ listen: \"127.0.0.1:{at}\" }}");
    let hub = start("hub", &hub_lines, true)?;
    let bare = start("leaf-bare", &remote, false)?;
    let own = start("leaf-own", &format!("{remote}\njetstream {{ domain: edge }}"), true)?;
    Ok((hub, [bare, own]))
}
