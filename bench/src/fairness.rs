//! What a good actor has of a host beside guests that never stop computing.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use crate::{
    guest::{self, Signer},
    http::{
        Running, Server, closed_loop,
        open_loop::{self, Arrivals, Pace},
    },
    quantiles::percentile,
    report::Report,
    settings::Settings,
};

pub(crate) const ALONE: &str = "alone";
pub(crate) const TWO: &str = "beside 2 spinning";
pub(crate) const HTTP_P99: &str = "HTTP p99 us";
pub(crate) const SHARE: &str = "answers/s, x alone";
const ANSWERS: &str = "HTTP answers/s";
/// What the load is called, what the neighbours do, and how many calls of it are in flight.
type Neighbours = (&'static str, &'static str, usize);
const LOADS: [Neighbours; 8] = [
    (ALONE, "spin", 0),
    ("beside 1 spinning", "spin", 1),
    (TWO, "spin", 2),
    ("beside 16 spinning", "spin", 16),
    ("beside 64 spinning", "spin", 64),
    ("beside 2 in bursts", "burst", 2),
    ("beside 64 in bursts", "burst", 64),
    ("beside 16 calling the host", "chatter", 16),
];
/// Requests a second of the good actor while its latency is measured: a host with little to do.
const RATE: f64 = 200.0;
/// Connections while it asks as fast as it is answered: as many as there are cores on small machines.
const CONNECTIONS: usize = 2;

/// A host with a good actor and one that is not considerate.
struct Contestant {
    name: &'static str,
    running: Running,
    good: String,
    bad: String,
}

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let signer = Signer::new()?;
    let write = |name: &str, guest: &str| -> Result<PathBuf> {
        let file = folder.path().join(name);
        std::fs::write(&file, signer.sign(&guest::heavy(guest)?, name, &["wasmcloud:keyvalue"])?)?;
        Ok(file)
    };
    let (good, bad) = (write("good", "ping")?, write("bad", "compute")?);
    let start = |server| Contestant::start(server, &signer, [&good, &bad]);
    let mut contestants = [start(Server::Hello)?, start(Server::Mixed)?];
    let mut report = Report::new(format!("a good actor asked {RATE} times a second beside others that keep computing"));
    for round in 0..settings.rounds {
        settings.tell("fairness", round);
        for load in LOADS {
            for one in &mut contestants {
                one.beside(load, settings.turns(5), &mut report)?;
            }
        }
    }
    for one in &contestants {
        add_shares(&mut report, one.name);
    }
    report.note("HTTP p50 and p99: open loop, evenly; answers/s: closed loop over 2 connections");
    report.note("direct: calls in process, each a task of the host's runtime; bursts are some milliseconds long");
    Ok(report)
}

impl Contestant {
    fn start(server: Server, signer: &Signer, [good, bad]: [&PathBuf; 2]) -> Result<Self> {
        let mut running = Running::start_trusting(server, &signer.issuer().to_string())?;
        let mut invite = |file: &PathBuf| running.helper.ask(&format!("invite {}", file.display()));
        let (good, bad) = (invite(good)?, invite(bad)?);
        Ok(Self { name: server.name(), running, good, bad })
    }

    fn beside(&mut self, (under, operation, count): Neighbours, turn: Duration, report: &mut Report) -> Result<()> {
        let keep = |count: usize| format!("keep {} {operation} {count}", self.bad);
        let (name, target) = (self.name, &self.running.target);
        self.running.helper.ask(&keep(count))?;
        let pace = Pace { rate: RATE, arrivals: Arrivals::Even, connections: 16 };
        let seen = open_loop::run(target, pace, turn)?;
        report.add(name, under, "HTTP p50 us", percentile(&seen.sorted_us, 50.0));
        report.add(name, under, HTTP_P99, percentile(&seen.sorted_us, 99.0));
        report.add(name, under, ANSWERS, closed_loop(target, CONNECTIONS, turn)?.rate);
        let answer = self.running.helper.ask(&format!("pace {} {RATE} {}", self.good, turn.as_millis()))?;
        let (p50, p99) = answer.split_once(' ').with_context(|| format!("no two figures: {answer}"))?;
        report.add(name, under, "direct p50 us", p50.parse()?);
        report.add(name, under, "direct p99 us", p99.parse()?);
        let ended: f64 = self.running.helper.ask(&keep(0))?.parse()?;
        // Those that never end by themselves are ended once a second.
        if operation != "spin" {
            report.add(name, under, "neighbours' calls/s", ended / (3.0 * turn.as_secs_f64()));
        }
        Ok(())
    }
}

fn add_shares(report: &mut Report, name: &str) {
    let alone = report.samples(name, ALONE, ANSWERS).unwrap_or_default().to_vec();
    for (under, ..) in LOADS {
        let beside = report.samples(name, under, ANSWERS).unwrap_or_default().to_vec();
        beside.iter().zip(&alone).for_each(|(beside, alone)| report.add(name, under, SHARE, beside / alone));
    }
}
