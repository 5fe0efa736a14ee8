//! HTTP through host, provider and actor, beside others. Each server is a process of its own.

mod load;
mod neighbours;
pub(crate) mod open_loop;
mod peers;
pub(crate) mod servers;

use std::net::SocketAddr;

use anyhow::{Context, Result};

pub(crate) use load::{Expect, Load, run as closed_loop};
pub(crate) use servers::{Server, serve};

use crate::{helper::Helper, quantiles::percentile, report::Report, settings::Settings};
use open_loop::{Arrivals, Pace};

/// Connections, each with one request at a time.
pub(crate) const CONNECTIONS: usize = 64;
pub(crate) const OURS: &str = "ours: host, provider, actor";
pub(crate) const OURS_KV: &str = "ours, with a key-value increment";
pub(crate) const OURS_MIXED: &str = "ours, long calls among all others";
pub(crate) const AXUM: &str = "axum, a native handler";
pub(crate) const WASMTIME: &str = "wasmtime serve, a component";
pub(crate) const RATE: &str = "requests/s";
pub(crate) const TAIL: &str = "p99/p50";
/// Requests at even distances, as wrk2 sends them.
pub(crate) const EVEN: &str = "half of peak, evenly";
/// Requests as strangers send them: at random, independent of each other.
pub(crate) const RANDOM: &str = "half of peak, at random";

/// One server under load.
struct Contestant {
    name: &'static str,
    expect: Expect,
    running: Running,
    loads: Vec<Load>,
}

/// Measures hello.
pub(crate) fn hello(settings: Settings) -> Result<Report> {
    let mut contestants = vec![Contestant::start(Server::Hello)?, Contestant::start(Server::Axum)?];
    if settings.peers {
        contestants.push(peers::wasmtime_serve()?);
    }
    let mut report = measure("http", &mut contestants, settings)?;
    report.title = format!("HTTP hello, {CONNECTIONS} keep-alive connections, client on the same machine");
    report.add_ratios(RATE, OURS, "x ours");
    report.note("ours runs each request in a fresh sandbox; every body was compared byte by byte");
    report.note("closed loop: a connection asks again when it has its answer; two threads ask");
    Ok(report)
}

/// Measures a counter beside hello.
pub(crate) fn counter(settings: Settings) -> Result<Report> {
    let mut contestants = vec![Contestant::start(Server::Counter)?, Contestant::start(Server::Hello)?];
    let mut report = measure("http_kv", &mut contestants, settings)?;
    report.title = "HTTP, actor and an increment in the key-value store in memory, beside hello".to_owned();
    report.add_ratios(RATE, OURS, "x hello");
    report.note("every request adds 1 to the same key; the highest sum must be the number of answers");
    Ok(report)
}

fn measure(scenario: &str, contestants: &mut [Contestant], settings: Settings) -> Result<Report> {
    let mut report = Report::new("");
    for one in contestants.iter_mut() {
        one.load(settings.turns(3))?;
        one.loads.clear();
    }
    for round in 0..settings.rounds {
        settings.tell(scenario, round);
        for one in contestants.iter_mut() {
            let load = one.load(settings.turns(10))?;
            let latency = |percent| percentile(&load.sorted_us, percent);
            let figures = [(RATE, load.rate), ("p50 us", latency(50.0)), ("p99 us", latency(99.0))];
            for (measure, figure) in figures {
                report.add(one.name, &format!("{CONNECTIONS} connections"), measure, figure);
            }
            one.loads.push(load);
        }
    }
    for one in contestants.iter_mut() {
        let all = one.loads.drain(..).flat_map(|load| load.sorted_us).collect();
        report.add_distribution(one.name, &format!("{CONNECTIONS} connections, closed loop"), all);
    }
    Ok(report)
}

/// Measures latency at half of the peak, whenever the server has time to answer or not.
pub(crate) fn latency(settings: Settings) -> Result<Report> {
    let mut server = Contestant::start(Server::Hello)?;
    let mut report = Report::new("HTTP hello at half of its peak, from the moment a request was due (open loop)");
    let mut all: [(&str, Arrivals, Vec<u32>); 2] =
        [(EVEN, Arrivals::Even, Vec::new()), (RANDOM, Arrivals::Random, Vec::new())];
    server.load(settings.turns(3))?;
    for round in 0..settings.rounds {
        settings.tell("latency", round);
        let peak = server.load(settings.turns(5))?.rate;
        report.add(OURS, "peak, closed loop", RATE, peak);
        for (under, arrivals, all) in &mut all {
            let pace = Pace { rate: peak / 2.0, arrivals: *arrivals, connections: CONNECTIONS };
            let seen = open_loop::run(&server.running.target, pace, settings.turns(10))?;
            let at = |percent| percentile(&seen.sorted_us, percent);
            report.add(OURS, under, RATE, seen.rate);
            for (measure, percent) in [("p50 us", 50.0), ("p90 us", 90.0), ("p99 us", 99.0), ("p99.9 us", 99.9)] {
                report.add(OURS, under, measure, at(percent));
            }
            report.add(OURS, under, TAIL, at(99.0) / at(50.0));
            all.extend(seen.sorted_us);
        }
    }
    for (under, _, all) in all {
        report.add_distribution(OURS, under, all);
    }
    report.note("corrected for coordinated omission: time counts from when a request was due, sent or not");
    report.note("the client's threads share the cores: their waking up is part of the figures");
    Ok(report)
}

impl Contestant {
    fn start(server: Server) -> Result<Self> {
        let expect = server.expect();
        Ok(Self { name: server.name(), expect, running: Running::start(server)?, loads: Vec::new() })
    }

    fn load(&mut self, turn: std::time::Duration) -> Result<Load> {
        let load = load::run(&self.running.target, CONNECTIONS, turn)?;
        self.running.answered += load.sorted_us.len() as u64;
        if self.expect == Expect::Counter {
            anyhow::ensure!(load.highest == self.running.answered, "an increment was lost, or happened twice");
        }
        Ok(load)
    }
}

/// Where requests go, and what comes back.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) expect: Expect,
}

/// A server's process; it ends with this value.
pub(crate) struct Running {
    pub(crate) target: Target,
    pub(crate) helper: Helper,
    answered: u64,
}

impl Running {
    fn start(server: Server) -> Result<Self> {
        Self::start_words(server, &["serve", server.word()])
    }

    /// Starts a server that trusts modules of one more account.
    pub(crate) fn start_trusting(server: Server, issuer: &str) -> Result<Self> {
        Self::start_words(server, &["serve", server.word(), issuer])
    }

    fn start_words(server: Server, words: &[&str]) -> Result<Self> {
        let mut helper = Helper::start(words, &[])?;
        let line = helper.line()?;
        let address = line.parse().with_context(|| format!("{} did not come up: {line}", server.name()))?;
        let target = Target { address, path: server.path(), expect: server.expect() };
        Ok(Self { target, helper, answered: 0 })
    }
}
