//! The story: what happens, in which order, and what the load saw of it.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Settings, stage::Stage};
use crate::{
    load::{Load, Outcome, Sample, Summary},
    probe,
    process::say,
};

const KEYVALUE: &str = "wasmcloud:keyvalue";
const HTTP: &str = "wasmcloud:httpserver";
const PATH: &str = "/counter/demo";
/// The span after a change in which its effect on latency is looked for.
const SECOND: Duration = Duration::from_secs(1);
/// At most as many rounds of updates, however few requests each brings.
const ROUNDS_MAX: usize = 60;

/// What a change promises to those who are being served meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing changes: what the rest is compared with.
    Steady,
    /// Nobody notices.
    Live,
    /// From the moment it is done, every request is refused with a 503.
    Refusing,
    /// From the moment it is done, every request is answered again.
    Restored,
}

/// One phase and what the load saw.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The whole phase.
    pub(super) seen: Summary,
    /// The second from the beginning of the change.
    pub(super) second: Summary,
    /// From the moment the change was done.
    pub(super) after: Summary,
    /// What else has to hold, by what it is.
    pub(super) checks: Vec<(String, bool)>,
}

/// Plays the whole story.
pub(super) fn tell(stage: &Stage, settings: &Settings) -> Result<Vec<Act>> {
    let actor = open(stage)?;
    let load = Load::start(stage.http, &format!("POST {PATH}"), settings.connections)?;
    let mut acts = vec![warm_up(stage, &load, settings)?];
    let mut counted = acts.iter().map(|act| act.seen.counted).sum::<usize>();
    let mut over_updates = 0;
    for round in 1..=ROUNDS_MAX {
        for act in updates(stage, &load, settings, &actor, round)? {
            counted += act.seen.counted;
            over_updates += act.seen.requests;
            acts.push(act);
        }
        if over_updates >= settings.requests {
            break;
        }
    }
    let mut removed = act("key-value store removed", Kind::Refusing, &load, settings, || {
        stage.wattle(&["stop", "provider", "store", "--force"]).map(drop)
    })?;
    counted += removed.seen.counted;
    let highest = acts.iter().chain([&removed]).map(|act| act.seen.counter).max().unwrap_or(0);
    removed.checks.push((format!("the store counted each of {counted} answers once"), highest == counted as u64));
    removed.checks.extend(check_refusal(stage)?);
    acts.push(removed);
    acts.push(replace_store(stage, load, settings, &actor)?);
    Ok(acts)
}

/// Starts what the story needs, and returns the actor's id.
fn open(stage: &Stage) -> Result<String> {
    stage.wattle(&["start", "provider", "builtin:httpserver", "--id", "web"])?;
    stage.wattle(&["start", "provider", "builtin:keyvalue-memory", "--id", "store"])?;
    let started = stage.wattle(&["start", "actor", &stage.module("counter-v1.wasm")])?;
    let actor = started.get("actor").and_then(Value::as_str).context("no actor id")?.to_owned();
    stage.wattle(&["link", "put", &actor, "web", HTTP, &format!("address={}", stage.http)])?;
    stage.wattle(&["link", "put", &actor, "store", KEYVALUE])?;
    let answer = probe::post(stage.http, "/counter/probe")?;
    ensure!(answer.status == 200, "the counter answers {answer:?}");
    say(&format!("demo: http://{} counts: {}", stage.http, answer.body));
    Ok(actor)
}

fn warm_up(stage: &Stage, load: &Load, settings: &Settings) -> Result<Act> {
    say(&format!("demo: {} requests in flight from now on", settings.connections));
    std::thread::park_timeout(SECOND);
    let warm = Summary::of(&load.take());
    let mut steady = act("steady", Kind::Steady, load, settings, || stage.wattle(&["get", "inventory"]).map(drop))?;
    // What was counted while warming up is part of the count, not of the latency.
    steady.seen.requests += warm.requests;
    steady.seen.counted += warm.counted;
    Ok(steady)
}

/// One round of everything that nobody may notice.
fn updates(stage: &Stage, load: &Load, settings: &Settings, actor: &str, round: usize) -> Result<Vec<Act>> {
    let name = |what: &str| if round == 1 { what.to_owned() } else { format!("{what} ({round})") };
    let live = |what: &str, change: &dyn Fn() -> Result<()>| act(&name(what), Kind::Live, load, settings, change);
    let mut swap = live("actor swapped, 1 to 2", &|| {
        stage.wattle(&["update", "actor", actor, &stage.module("counter-v2.wasm")]).map(drop)
    })?;
    swap.checks.push(("version 2 answers".into(), swap.after.versions.keys().eq(&[2])));
    let broken = broken_module(stage)?;
    let mut refused = live("broken module refused", &|| {
        let said = stage.refused(&["update", "actor", actor, &broken])?;
        say(&format!("    {}", said.replace('\n', "\n    ")));
        Ok(())
    })?;
    refused.checks.push(("version 2 goes on".into(), refused.seen.versions.keys().eq(&[2])));
    let mut back = live("actor swapped back, 2 to 1", &|| {
        stage.wattle(&["update", "actor", actor, &stage.module("counter-v1.wasm"), "--force"]).map(drop)
    })?;
    back.checks.push(("version 1 answers".into(), back.after.versions.keys().eq(&[1])));
    let web =
        live("HTTP server swapped", &|| stage.wattle(&["update", "provider", "web", "builtin:httpserver"]).map(drop))?;
    Ok(vec![swap, refused, back, web])
}

/// The last act: the load ends with it, so that every answer can be held against the store's count.
fn replace_store(stage: &Stage, load: Load, settings: &Settings, actor: &str) -> Result<Act> {
    let mut first = None;
    let mut replaced = act("another store takes its place", Kind::Restored, &load, settings, || {
        let path = format!("path={}", stage.path("store.redb").display());
        stage.wattle(&["start", "provider", "builtin:keyvalue-redb", "--id", "store2", "--config", &path])?;
        stage.wattle(&["link", "put", actor, "store2", KEYVALUE, "--replace"])?;
        first = Some(probe::post(stage.http, "/counter/first")?);
        Ok(())
    })?;
    let worked = first.is_some_and(|answer| answer.status == 200 && answer.body.get("counter") == Some(&1.into()));
    replaced.checks.push(("the first request counts".into(), worked));
    let last = Summary::of(&load.stop()?);
    let (highest, counted) = (replaced.seen.counter.max(last.counter), replaced.seen.counted + last.counted);
    let continuous = highest == counted as u64;
    replaced.checks.push(("the new store counted each answer once".into(), continuous));
    Ok(replaced)
}

/// Makes a change while the load is on, and sums up what the load saw.
fn act(name: &str, kind: Kind, load: &Load, settings: &Settings, change: impl FnOnce() -> Result<()>) -> Result<Act> {
    say(&format!("demo: {name}"));
    let mut samples = load.take();
    let begun = Instant::now();
    change()?;
    let done = Instant::now();
    // However long the change took: what follows it is looked at for a second at least.
    std::thread::park_timeout(settings.phase.saturating_sub(begun.elapsed()).max(SECOND));
    samples.extend(load.take());
    tell_broken(&samples);
    Ok(Act {
        name: name.to_owned(),
        kind,
        seen: Summary::of(&samples),
        second: Summary::between(&samples, begun, begun + SECOND),
        after: Summary::between(&samples, done + SETTLE, Instant::now()),
        checks: Vec::new(),
    })
}

/// Requests that were under way when a change was done may still have been answered the old way.
const SETTLE: Duration = Duration::from_millis(100);

fn tell_broken(samples: &[Sample]) {
    let broken = samples.iter().filter(|sample| matches!(sample.outcome, Outcome::Broken(_)));
    for sample in broken.take(5) {
        say(&format!("    broken: {:?}", sample.outcome));
    }
}

/// Asks once more, and checks that the refusal says what is missing and what to do.
fn check_refusal(stage: &Stage) -> Result<Vec<(String, bool)>> {
    let answer = probe::post(stage.http, PATH)?;
    say(&format!("    the client is told: {}", answer.body));
    let text = |field: &str| answer.body.get(field).and_then(Value::as_str);
    Ok(vec![
        ("the refusal is a 503".into(), answer.status == 503),
        ("it names the contract".into(), text("contract") == Some(KEYVALUE)),
        ("it names the link".into(), text("link") == Some("default")),
        ("it names a remedy".into(), text("remedy").is_some_and(|remedy| !remedy.is_empty())),
    ])
}

/// Writes the second version with one byte changed after signing.
fn broken_module(stage: &Stage) -> Result<String> {
    let mut module = fs::read(stage.module("counter-v2.wasm"))?;
    let middle = module.len() / 2;
    let byte = module.get_mut(middle).context("an empty module")?;
    *byte ^= 1;
    let path = stage.path("broken.wasm");
    fs::write(&path, module)?;
    Ok(path.display().to_string())
}
