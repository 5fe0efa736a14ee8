//! The lattice that is soaked, and what is known of it.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    faults::{Fault, WORK},
    ledger::Ledger,
    resources::Watch,
};
use crate::{
    fleet::Beats,
    ground::{Ground, KEYVALUE, Lattice, PATIENCE, until_answered},
    load::{Load, Summary},
    process::say,
};

/// After a fault is over, this much of the rest is left for the last calls it touched.
const SETTLE: Duration = Duration::from_millis(1000);
/// A GET is tried on three hosts at most; a POST runs once.
const GET_ATTEMPTS: u64 = 3;
const POST_ATTEMPTS: u64 = 1;

/// How one kind of fault went.
#[derive(Debug, Default)]
struct Tally {
    times: u64,
    requests: u64,
    failed: u64,
    worst: Duration,
}

/// Three hosts, two loads, and the books.
pub(super) struct Stage {
    lattice: Lattice,
    actor: String,
    reads: Load,
    writes: Load,
    read: Ledger,
    wrote: Ledger,
    watch: Watch,
    version: u8,
    tallies: BTreeMap<&'static str, Tally>,
    wrong: Vec<String>,
}

impl Stage {
    pub(super) fn set(ground: &Ground<'_>, connections: usize) -> Result<Self> {
        let mut lattice = ground.lattice(Vec::new())?;
        let redis = lattice.fleet.start_redis(&ground.servers.redis)?;
        for host in WORK {
            lattice.host(host, &["role=work"])?;
        }
        lattice.host("front", &["role=front"])?;
        let spread = ["--replicas", "2", "--spread", "role=work:9", "--spread", "role=front:1"];
        let actor = lattice.counter(&spread)?;
        let (id, url) = (["--id", "store"], format!("url={redis}"));
        let store = [&["scale", "provider", "keyvalue-redis", "--config", &url][..], &id, &spread].concat();
        lattice.fleet.wattle(&store)?;
        lattice.fleet.wattle(&["link", "put", &actor, "store", KEYVALUE])?;
        let http = lattice.web("front", &actor)?;
        until_answered(http, PATIENCE)?;
        Ok(Self {
            reads: Load::start(http, "GET /counter/get", connections / 2)?,
            writes: Load::start(http, "POST /counter/post", connections - connections / 2)?,
            lattice,
            actor,
            read: Ledger::default(),
            wrote: Ledger::default(),
            watch: Watch::start()?,
            version: 1,
            tallies: BTreeMap::new(),
            wrong: Vec::new(),
        })
    }

    /// Lets a fault happen and waits until the lattice is whole again.
    pub(super) fn suffer(&mut self, fault: &Fault) -> Result<()> {
        let begun = Instant::now();
        self.happen(fault).with_context(|| fault.to_string())?;
        self.wait_whole().with_context(|| format!("after {fault}"))?;
        let took = begun.elapsed();
        self.watch_all();
        thread::park_timeout(SETTLE);
        let seen = self.enter();
        let tally = self.tallies.entry(fault.kind()).or_default();
        tally.times += 1;
        tally.requests += seen.requests as u64;
        tally.failed += seen.failed() as u64;
        tally.worst = tally.worst.max(took);
        if fault.is_live() && seen.failed() > 0 {
            self.note(format!("{fault}: {} of {} failed: {:?}", seen.failed(), seen.requests, seen.named));
        }
        Ok(())
    }

    /// Lets the load go on; nothing may fail now.
    pub(super) fn rest(&mut self, time: Duration) -> Result<()> {
        self.watch_all();
        thread::park_timeout(time);
        let seen = self.enter();
        if seen.failed() > 0 {
            self.note(format!("without a fault {} of {} failed: {:?}", seen.failed(), seen.requests, seen.named));
        }
        ensure!(seen.counted > 0, "nothing is answered any more: {:?}", seen.named);
        Ok(())
    }

    fn happen(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Kill(host) => {
                self.lattice.kill(host)?;
                self.on_two_hosts()?;
                self.lattice.host(host, &["role=work"])
            }
            Fault::Freeze(host, time) => {
                self.lattice.fleet.host(host)?.signal("STOP")?;
                thread::park_timeout(*time);
                self.lattice.fleet.host(host)?.signal("CONT")
            }
            Fault::Drain(host) => {
                self.lattice.fleet.wattle(&["drain", "host", host])?;
                self.lattice.fleet.await_end(host)?;
                self.lattice.host(host, &["role=work"])
            }
            Fault::NatsGone(time) => {
                self.lattice.nats.kill()?;
                self.lattice.beats.forget_all();
                thread::park_timeout(*time);
                self.lattice.nats.start()
            }
            Fault::Swap => {
                let next = 3 - self.version;
                let module = self.lattice.fleet.module(&format!("counter-v{next}.wasm"));
                self.lattice.fleet.wattle(&["update", "actor", "Counter", &module, "--force"])?;
                self.version = next;
                Ok(())
            }
            Fault::BadSwap => {
                let bad = self.lattice.fleet.module("fixtures/counter-bad.wasm");
                let words = ["update", "actor", "Counter", &bad, "--canary", "10%", "--watch", "2"];
                match self.lattice.fleet.try_wattle(&words)? {
                    Err(refused) if refused.code == "rolled_back" => Ok(()),
                    outcome => bail!("the bad version was not rolled back: {outcome:?}"),
                }
            }
            Fault::SwapServer => {
                self.lattice.fleet.wattle(&["update", "provider", "web-front", "httpserver"]).map(drop)
            }
        }
    }

    fn on_two_hosts(&self) -> Result<()> {
        let actor = self.actor.clone();
        let on_two = |beats: &Beats| beats.who_runs(&actor).len() == 2;
        self.lattice.beats.wait("the counter runs on two hosts", PATIENCE, on_two).map(drop)
    }

    /// Waits until all hosts are there and run what they are to run.
    fn wait_whole(&self) -> Result<()> {
        let file = format!("counter-v{}.wasm", self.version);
        let is_whole = |beats: &Beats| {
            beats.hosts().len() == 3
                && beats.who_runs_version(&self.actor, &file) == WORK
                && beats.who_runs(&self.actor) == WORK
                && beats.who_runs("store") == WORK
        };
        self.lattice.beats.wait("the lattice is whole", PATIENCE, is_whole).map(drop)
    }

    /// Has the processes looked at that there are now.
    fn watch_all(&mut self) {
        let hosts = self.lattice.fleet.processes().map(|process| (process.name().to_owned(), process.id()));
        let mut all: Vec<_> = hosts.collect();
        if let Ok(nats) = self.lattice.nats.process_mut() {
            all.push(("nats".to_owned(), nats.id()));
        }
        self.watch.these(all);
    }

    /// Enters what came of the requests since the last time.
    fn enter(&mut self) -> Summary {
        let (mut samples, writes) = (self.reads.take(), self.writes.take());
        self.read.enter(&samples);
        self.wrote.enter(&writes);
        samples.extend(writes);
        Summary::of(&samples)
    }

    fn note(&mut self, wrong: String) {
        say(&format!("    WRONG {wrong}"));
        self.wrong.push(wrong);
    }

    /// Tells all that is known.
    pub(super) fn tell(&mut self) {
        let mut lines = vec![format!(
            "\n{:24}  {:>5}  {:>10}  {:>10}  {:>10}",
            "fault", "times", "requests", "unanswered", "worst"
        )];
        lines.extend(self.tallies.iter().map(|(kind, tally)| {
            let worst = format!("{:.2} s", tally.worst.as_secs_f64());
            format!("{kind:24}  {:>5}  {:>10}  {:>10}  {worst:>10}", tally.times, tally.requests, tally.failed)
        }));
        for (what, ledger) in [("GET", &self.read), ("POST", &self.wrote)] {
            lines.push(format!("{what}: {} requests, {} answered", ledger.requests, ledger.answered));
            lines.extend(ledger.named.iter().map(|(name, count)| format!("    {count} x {name}")));
        }
        lines.extend(self.watch.seen().describe());
        say(&lines.join("\n"));
    }

    /// Ends the load and closes the books.
    pub(super) fn close(mut self) -> Result<()> {
        self.enter();
        self.tell();
        let mut wrong = self.wrong;
        let (reads, writes) = (self.reads.stop()?, self.writes.stop()?);
        self.read.enter(&reads);
        self.wrote.enter(&writes);
        wrong.extend(self.read.wrong(GET_ATTEMPTS));
        wrong.extend(self.wrote.wrong(POST_ATTEMPTS));
        wrong.extend(self.watch.seen().grown());
        if !wrong.is_empty() {
            bail!("the soak failed:\n  {}", wrong.join("\n  "));
        }
        say("soak: every request is accounted for, and nothing grows");
        self.lattice.fleet.end()
    }
}
