//! The scenarios, by name.

use anyhow::{Context, Result};

use crate::{
    calls, cold, compute, fairness, first_start, http, idle, many, mesh, report::Report, routing, settings::Settings,
};

/// Something that can be measured on its own.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it measures, in one line.
    pub(crate) about: &'static str,
    run: fn(Settings) -> Result<Report>,
}

/// All of them, in the order they run in.
pub(crate) const ALL: [Scenario; 13] = [
    Scenario { name: "calls", about: "one call of an echo guest, engine only, on one thread", run: calls::run },
    Scenario { name: "threads", about: "the same call on more and more threads", run: calls::threads::run },
    Scenario { name: "compute", about: "a guest that computes: SHA-256 of 1 MiB, a JSON document", run: compute::run },
    Scenario { name: "http", about: "HTTP hello over 64 connections", run: http::hello },
    Scenario { name: "http_kv", about: "HTTP, actor, key-value increment, beside hello", run: http::counter },
    Scenario { name: "latency", about: "HTTP hello at half its peak, open loop", run: http::latency },
    Scenario { name: "cold", about: "from a signed module on disk to its first answer", run: cold::run },
    Scenario { name: "first_start", about: "other actors while a large module is compiled", run: first_start::run },
    Scenario { name: "fairness", about: "a good actor beside guests that never stop computing", run: fairness::run },
    Scenario { name: "idle", about: "memory of idle actors, and of calls in flight", run: idle::run },
    Scenario { name: "many", about: "ten thousand actors on one host: memory, restart, the busy ones", run: many::run },
    Scenario { name: "routing", about: "finding whom a call is for, among many", run: routing::run },
    Scenario { name: "mesh", about: "an actor on another host, beside bare NATS", run: mesh::run },
];

impl Scenario {
    /// Returns the scenario of this name.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let names = || ALL.each_ref().map(|scenario| scenario.name).join(", ");
        let found = ALL.iter().find(|scenario| scenario.name == name);
        found.with_context(|| format!("no scenario is called {name:?}; there are: {}", names()))
    }

    /// Measures.
    pub(crate) fn run(&self, settings: Settings) -> Result<Report> {
        let mut report = (self.run)(settings).with_context(|| format!("scenario {}", self.name))?;
        self.name.clone_into(&mut report.scenario);
        Ok(report)
    }
}
