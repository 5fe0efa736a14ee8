//! What happens to the lattice, in which order, and what the load saw of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::{
    Settings,
    scene::{PATIENCE, STORE, Scene},
};
use crate::{
    load::{Load, Summary},
    process::say,
};

const PATH: &str = "/counter/demo";
/// How long NATS is gone.
const OUTAGE: Duration = Duration::from_secs(3);
/// How long the load goes on before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// What of a phase may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Live,
    /// Calls that the killed host had taken: nobody knows whether they ran, and a POST must not run twice. No more than
    /// are in flight.
    Killed,
    /// Calls that the version on trial took, which its author made fail.
    Bad,
}

/// One phase and what the load saw.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) seen: Summary,
    /// What was measured besides.
    pub(super) notes: Vec<String>,
    /// What else has to hold, by what it is.
    pub(super) checks: Vec<(String, bool)>,
}

/// What a change tells of itself.
#[derive(Default)]
struct Told {
    notes: Vec<String>,
    checks: Vec<(String, bool)>,
}

/// Plays the whole story.
pub(super) fn tell(scene: &mut Scene, settings: &Settings) -> Result<Vec<Act>> {
    scene.tell();
    let load = Load::start(scene.http, &format!("POST {PATH}"), settings.connections)?;
    say(&format!("demo: {} requests in flight from now on", settings.connections));
    thread::park_timeout(WARM_UP);
    let mut book = Book { load, settings, acts: Vec::new(), before: Summary::default() };
    book.before = Summary::of(&book.load.take());
    book.act("steady", Kind::Live, || Ok(Told::default()))?;
    hosts_fail(scene, &mut book)?;
    versions_change(scene, &mut book)?;
    nats_fails(scene, &mut book)?;
    book.close()
}

fn hosts_fail(scene: &mut Scene, book: &mut Book<'_>) -> Result<()> {
    let (with_store, other) = scene.work_hosts()?;
    book.act(&format!("{other} killed"), Kind::Killed, || killed(scene, &other))?;
    book.act(&format!("{other} comes back"), Kind::Live, || {
        scene.restart(&other)?;
        let actor = scene.actor.clone();
        let took = scene.beats.wait("the counter runs there again", PATIENCE, |beats| {
            let hosts = beats.who_runs(&actor);
            hosts.len() == 2 && hosts.contains(&other)
        })?;
        scene.tell();
        Ok(Told {
            notes: vec![format!("{:.2} s after it was up, it runs the counter again", took.as_secs_f64())],
            ..Told::default()
        })
    })?;
    book.act(&format!("{with_store} drained"), Kind::Live, || {
        let begun = Instant::now();
        scene.fleet.wattle(&["drain", "host", &with_store])?;
        scene.fleet.await_end(&with_store)?;
        let took = begun.elapsed().as_secs_f64();
        scene.tell();
        let on_two = scene.beats.who_runs(&scene.actor).len() == 2 && !scene.beats.who_runs(STORE).is_empty();
        Ok(Told {
            notes: vec![format!("counter and store moved, host ended in {took:.2} s")],
            checks: vec![("what it ran, runs elsewhere".into(), on_two)],
        })
    })?;
    book.act(&format!("{with_store} comes back"), Kind::Live, || {
        scene.restart(&with_store)?;
        Ok(Told::default())
    })
}

/// Kills a host and waits until the lattice has replaced what it ran.
fn killed(scene: &mut Scene, host: &str) -> Result<Told> {
    // Something to lose: the load is well under way.
    thread::park_timeout(WARM_UP);
    let begun = Instant::now();
    scene.fleet.kill_host(host)?;
    scene.beats.forget(host);
    let actor = scene.actor.clone();
    scene.beats.wait("the counter runs on two hosts again", PATIENCE, |beats| beats.who_runs(&actor).len() == 2)?;
    let took = begun.elapsed();
    scene.tell();
    Ok(Told {
        notes: vec![format!("runs on two hosts again after {:.2} s", took.as_secs_f64())],
        checks: vec![("what it ran was replaced in under 3 s".into(), took < Duration::from_secs(3))],
    })
}

fn versions_change(scene: &mut Scene, book: &mut Book<'_>) -> Result<()> {
    let (good, bad) = (scene.fleet.module("counter-v2.wasm"), scene.fleet.module("fixtures/counter-bad.wasm"));
    book.act("rolling swap to version 2", Kind::Live, || {
        scene.fleet.wattle(&["update", "actor", "Counter", &good]).map(|_| Told::default())
    })?;
    book.versions("version 2 answers, and nothing else does", &[2]);
    book.act("rolling swap to a bad version", Kind::Bad, || {
        let Err(refused) =
            scene.fleet.try_wattle(&["update", "actor", "Counter", &bad, "--canary", "10%", "--watch", "3"])?
        else {
            bail!("the bad version stayed");
        };
        say(&format!("    {}: {}", refused.code, refused.message));
        Ok(Told {
            notes: vec!["tried on 10 % of the calls of one host, and rolled back by itself".into()],
            checks: vec![("it went back by itself".into(), refused.code == "rolled_back")],
        })
    })?;
    book.versions("version 2 goes on", &[2]);
    book.act("rolled back to version 1", Kind::Live, || {
        scene.fleet.wattle(&["rollback", "Counter"]).map(|_| Told::default())
    })?;
    book.versions("version 1 answers, and nothing else does", &[1]);
    Ok(())
}

fn nats_fails(scene: &mut Scene, book: &mut Book<'_>) -> Result<()> {
    book.act("counter and store scaled to three", Kind::Live, || {
        let url = format!("url={}", scene.redis);
        scene.fleet.wattle(&["scale", "actor", "Counter", "--replicas", "3"])?;
        scene.fleet.wattle(&[
            "scale",
            "provider",
            "keyvalue-redis",
            "--id",
            STORE,
            "--replicas",
            "3",
            "--config",
            &url,
        ])?;
        scene.tell();
        Ok(Told::default())
    })?;
    book.act("NATS killed and started again", Kind::Live, || {
        scene.nats.kill()?;
        scene.beats.forget_all();
        thread::park_timeout(OUTAGE);
        scene.nats.start()?;
        let took = scene.beats.wait("all hosts are back", PATIENCE, |beats| beats.hosts().len() == 3)?;
        let declared = scene.fleet.wattle(&["get", "declared"])?;
        ensure!(declared.as_array().is_some_and(|all| all.len() == 2), "after NATS was gone: declared is {declared}");
        Ok(Told {
            notes: vec![format!(
                "gone for {} s; all hosts on it again {:.2} s later",
                OUTAGE.as_secs(),
                took.as_secs_f64()
            )],
            checks: vec![("all hosts are back within 5 s".into(), took < Duration::from_secs(5))],
        })
    })
}

/// What was played so far.
struct Book<'a> {
    load: Load,
    settings: &'a Settings,
    acts: Vec<Act>,
    /// What was counted before the first act.
    before: Summary,
}

impl Book<'_> {
    /// Makes a change while the load is on, and sums up what the load saw.
    fn act(&mut self, name: &str, kind: Kind, change: impl FnOnce() -> Result<Told>) -> Result<()> {
        say(&format!("demo: {name}"));
        let begun = Instant::now();
        let told = change()?;
        thread::park_timeout(self.settings.phase.saturating_sub(begun.elapsed()).max(WARM_UP));
        let seen = Summary::of(&self.load.take());
        self.acts.push(Act { name: name.to_owned(), kind, seen, notes: told.notes, checks: told.checks });
        Ok(())
    }

    /// Checks which versions answer now, after the last act.
    fn versions(&mut self, what: &str, wanted: &[u8]) {
        thread::park_timeout(Duration::from_millis(300));
        let seen = Summary::of(&self.load.take());
        let held = seen.versions.keys().eq(wanted) && seen.failed() == 0;
        if let Some(act) = self.acts.last_mut() {
            act.checks.push((what.to_owned(), held));
        }
        self.before.counted += seen.counted;
        self.before.requests += seen.requests;
    }

    /// Ends the load, and holds every answer against the store's count.
    fn close(mut self) -> Result<Vec<Act>> {
        let last = Summary::of(&self.load.stop()?);
        let all = || self.acts.iter().map(|act| &act.seen).chain([&self.before, &last]);
        let counted = all().map(|seen| seen.counted).sum::<usize>() as u64;
        let unknown = all().map(Summary::failed).sum::<usize>() as u64;
        let highest = all().map(|seen| seen.counter).max().unwrap_or(0);
        let what = format!("the store counted each of {counted} answers once, and at most the {unknown} without one");
        if let Some(act) = self.acts.last_mut() {
            act.checks.push((format!("{what}: {highest}"), (counted..=counted + unknown).contains(&highest)));
        }
        Ok(self.acts)
    }
}
