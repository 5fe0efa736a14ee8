//! From a signed module on disk, compiled before, to its first answer: on a host that runs, after it was restarted.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use wattle_host::{Engine, EngineConfig, Host, StartActor, Steps};
use wattle_wascap::TrustPolicy;

use crate::{
    guest::{self, Signer},
    quantiles::Spread,
    report::Report,
    settings::Settings,
};

pub(crate) const OURS: &str = "ours: fetch, verify, load, probe, call";
pub(crate) const FIRST: &str = "ms to the first answer";
/// Starts in each round; the round's figure is their median.
const STARTS: usize = 5;
const PING: &[u8] = b"are you there?";

/// A module to start.
struct Module {
    under: &'static str,
    file: PathBuf,
}

/// The sizes as the table of goals has them; the exact ones are told with the figures.
pub(crate) const SIZES: [&str; 3] = ["24 KB", "2.4 MB", "8.5 MB"];

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let signer = Signer::new()?;
    let modules = modules(folder.path(), &signer)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report::new("from a signed module on disk to its first answer, compile cache and page cache warm");
    runtime.block_on(async {
        // Compiles, into the cache.
        let host = host(folder.path(), &signer).await?;
        for module in &modules {
            let begun = Instant::now();
            first_answer(&host, module).await?;
            report.add("ours: the same, compiled for the first time", module.under, FIRST, millis(begun));
        }
        host.shutdown().await;
        for round in 0..settings.rounds {
            settings.tell("cold", round);
            one_round(folder.path(), &signer, &modules, &mut report).await?;
        }
        anyhow::Ok(())
    })?;
    for module in &modules {
        report.note(format!("{}: {} bytes", module.under, std::fs::metadata(&module.file)?.len()));
    }
    report.note(format!("a new host in each round; a round's figure is the median of {STARTS} starts"));
    Ok(report)
}

fn modules(folder: &Path, signer: &Signer) -> Result<Vec<Module>> {
    let guests = ["ping", "heavy", "heavy-sql"];
    let mut modules = Vec::new();
    for (under, guest) in SIZES.into_iter().zip(guests) {
        let file = folder.join(format!("{}.wasm", under.replace(' ', "-")));
        std::fs::write(&file, signer.sign(&guest::heavy(guest)?, under, &[])?)?;
        modules.push(Module { under, file });
    }
    Ok(modules)
}

async fn host(folder: &Path, signer: &Signer) -> Result<Host> {
    let config = EngineConfig { cache_dir: Some(folder.join("cache")), ..EngineConfig::default() };
    let trust = TrustPolicy::new().trust_account(signer.issuer())?;
    Ok(Host::builder(Engine::new(config)?, trust).start().await?)
}

async fn one_round(folder: &Path, signer: &Signer, modules: &[Module], report: &mut Report) -> Result<()> {
    let host = host(folder, signer).await?;
    for module in modules {
        let mut samples = Vec::new();
        for _ in 0..STARTS {
            let begun = Instant::now();
            let actor = first_answer(&host, module).await?;
            samples.push(millis(begun));
            host.stop_actor(actor, &Steps::ignore()).await?;
        }
        report.add(OURS, module.under, FIRST, Spread::of(&samples).median);
    }
    host.shutdown().await;
    Ok(())
}

async fn first_answer(host: &Host, module: &Module) -> Result<wattle_types::ActorId> {
    let reference = format!("file://{}", module.file.display());
    let actor = host.start_actor_from(&reference, StartActor::default(), &Steps::ignore()).await?;
    let answer = host.call(&actor.to_string(), "ping", Bytes::from_static(PING), None).await?;
    ensure!(answer == PING, "{} answers wrongly", module.under);
    Ok(actor)
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
