//! Guests and files that misbehave in every way we could think of, and what the host calls each.
//!
//! Every hostile guest gets its own named error, a well-behaved neighbour keeps being served, and memory does not grow.
//! `WATTLE_HOSTILE_CALLS` sets how many attempts are made in all; the table is printed with `--nocapture`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bytes::Bytes;
use wattle_host::{Engine, EngineConfig, Host, HostConfig, Limits, StartActor, Steps};
use wattle_types::wascap::{Actor, KeyKind, KeyPair, TrustPolicy};

use crate::support::Author;

/// Attempts in all when nobody says: enough to see a leak of a few kilobytes each.
const ATTEMPTS: usize = 600;
/// A guest that never ends is given this long.
const PATIENCE: Duration = Duration::from_millis(100);
/// What the host may have grown by: allocators keep some of what was freed.
const GROWTH_MAX: usize = 96 << 20;

/// What is expected of each case: `start:CODE` when it must not start, otherwise the code of a call, or `ok`. Where a
/// busy machine decides which limit is met first, both stand there.
const EXPECTED: &str = include_str!("expected.txt");

struct Rig {
    host: Host,
    neighbour: String,
}

impl Rig {
    async fn new(author: &Author, trust: TrustPolicy) -> Self {
        // Few sandboxes are kept warm, so that what grows is a leak and not a cache.
        let engine =
            EngineConfig { start_timeout: PATIENCE, pool_size: 64, max_warm_sandboxes: 4, ..EngineConfig::default() };
        let engine = Engine::new(engine).unwrap();
        let limits = Limits { host_calls: 100, ..Limits::default() };
        let config = HostConfig { drain_timeout: PATIENCE, limits, ..HostConfig::default() };
        let host = Host::builder(engine, trust).config(config).start().await.unwrap();
        let id = host.start_actor(author.echo("", 1), StartActor::default(), &Steps::ignore()).await.unwrap();
        Self { host, neighbour: id.to_string() }
    }

    /// Starts a module, calls it once and stops it; says what came of it.
    async fn attempt(&self, module: Bytes) -> String {
        let id = match self.host.start_actor(module, StartActor::default(), &Steps::ignore()).await {
            Ok(id) => id,
            Err(error) => return format!("start:{}", error.code()),
        };
        let answer = self.host.call(&id.to_string(), "Any", "payload".into(), Some(PATIENCE)).await;
        self.host.stop_actor(id, &Steps::ignore()).await.unwrap();
        answer.map_or_else(|error| error.root().code().to_owned(), |_| "ok".to_owned())
    }

    /// The neighbour is served while all of this goes on.
    async fn check_neighbour(&self) {
        assert_eq!(self.host.call(&self.neighbour, "Echo", "still".into(), None).await.unwrap(), "still");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_guest_gets_its_own_error_and_leaves_nothing_behind() {
    let (author, mut cases) = (Author::new(), fixtures());
    let issuer = std::fs::read_to_string(modules().join("issuer.pub")).unwrap();
    let trust = author.trust().trust_account(issuer.trim().parse().unwrap()).unwrap();
    cases.extend(bad_files(&author));
    let rig = Rig::new(&author, trust).await;
    let expected: BTreeMap<&str, &str> =
        EXPECTED.lines().filter_map(|line| line.split_once(' ')).map(|(name, code)| (name, code.trim())).collect();

    let mut table = Vec::new();
    for (name, module) in &cases {
        table.push((name.clone(), rig.attempt(module.clone()).await));
        rig.check_neighbour().await;
    }
    let found: Vec<_> = table.iter().map(|(name, code)| format!("{name} {code}")).collect();
    let is_wanted =
        |name: &str, code: &str| expected.get(name).is_some_and(|codes| codes.split('|').any(|wanted| wanted == code));
    let unwanted: Vec<_> = table.iter().filter(|(name, code)| !is_wanted(name, code)).collect();
    assert!(unwanted.is_empty(), "not as expected: {unwanted:?}, all found:\n{}", found.join("\n"));

    let before = resident();
    let attempts = std::env::var("WATTLE_HOSTILE_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(ATTEMPTS);
    for round in 0..attempts.div_ceil(cases.len()) {
        for (_, module) in &cases {
            rig.attempt(module.clone()).await;
        }
        if round % 10 == 0 {
            rig.check_neighbour().await;
            println!("after {} attempts {} MiB", round * cases.len(), resident() >> 20);
        }
    }
    let after = resident();
    let mebibytes = |bytes: usize| bytes >> 20;
    println!("{:34} what the host calls it", "hostile guest or file");
    table.iter().for_each(|(name, code)| println!("{name:34} {code}"));
    println!("resident before {} MiB, after {attempts} attempts {} MiB", mebibytes(before), mebibytes(after));
    assert!(after.saturating_sub(before) < GROWTH_MAX, "grew from {before} to {after} bytes");
    rig.check_neighbour().await;
}

/// The signed fixtures, by name.
fn fixtures() -> Vec<(String, Bytes)> {
    let folder = modules().join("fixtures");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): build the fixtures with `cargo xtask build-actors`", folder.display())
    });
    let mut all: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap().into()))
        .collect();
    all.sort();
    all
}

fn modules() -> PathBuf {
    std::env::var_os("WATTLE_ACTORS_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/actors")), PathBuf::from)
}

/// Files that are no module anybody should start.
fn bad_files(author: &Author) -> Vec<(String, Bytes)> {
    let other = author.another();
    let good = other.echo("x", 1);
    let cut = good.slice(..good.len() / 2);
    let mut changed = good.to_vec();
    changed[40] ^= 0x20;
    let stranger = Author { account: KeyPair::generate(KeyKind::Account).unwrap(), ..author.another() };
    let expired = {
        let wasm = wat::parse_str("(module)").unwrap();
        let claims = wattle_types::wascap::Claims::new(Actor::new("Old"), other.module.public_key(), 1_600_000_000);
        wattle_types::wascap::sign_module(&wasm, &claims.expires_at(1_600_000_001), &other.account).unwrap()
    };
    let component = b"\0asm\x0d\0\x01\0".as_slice();
    [
        ("file: empty", Bytes::new()),
        ("file: text", Bytes::from_static(b"#!/bin/sh\necho hello\n")),
        ("file: cut in half", cut),
        ("file: one bit changed", changed.into()),
        ("file: not signed", wat::parse_str("(module)").unwrap().into()),
        ("file: a stranger's", stranger.echo("x", 1)),
        ("file: expired", expired.into()),
        ("file: empty component", Bytes::from_static(component)),
        ("file: a megabyte of zeros", Bytes::from(vec![0; 1 << 20])),
    ]
    .map(|(name, bytes)| (name.replace(' ', "_"), bytes))
    .into()
}

/// Bytes this process has in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
