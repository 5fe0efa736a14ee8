//! A host with many actors, in a process of its own whose memory can be looked at.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet};
use wattle_host::{Engine, EngineConfig, Host, StartActor, StartProvider, Steps};
use wattle_types::{
    BoxFuture, ContractId, LinkDefinition, LinkKey, Provider, ProviderCall, ProviderContext, ProviderError,
    ProviderFactory,
};
use wattle_wascap::TrustPolicy;

use crate::{
    guest::{self, Signer},
    helper::{Helper, answer_lines},
    http::{open_loop::Arrivals, servers::link},
    quantiles::percentile,
};

/// Actors started at the same time, as a host does that comes back.
const STARTED_AT_ONCE: usize = 8;
/// Actors that are called in [`ActorHost::pace`].
pub(crate) const BUSY: usize = 10;
const CONTRACT: &str = "wasmcloud:keyvalue";

/// Signs modules that differ in nothing but their identity, into a folder: `0.wasm`, `1.wasm` and so on.
pub(crate) fn write_modules(folder: &Path, signer: &Signer, wasm: &[u8], count: usize) -> Result<()> {
    for number in 0..count {
        let module = signer.sign(&guest::distinct(wasm, number), &format!("actor {number}"), &[CONTRACT])?;
        std::fs::write(folder.join(format!("{number}.wasm")), module)?;
    }
    Ok(())
}

/// A process with a host.
pub(crate) struct ActorHost(pub(crate) Helper);

impl ActorHost {
    /// Starts one that keeps compiled modules in `folder`, beside the modules themselves.
    pub(crate) fn start(folder: &Path, signer: &Signer) -> Result<Self> {
        let mut helper = Helper::start(&["actors", &folder.to_string_lossy(), &signer.issuer().to_string()], &[])?;
        ensure!(helper.line()? == "ready", "the host did not come up");
        Ok(Self(helper))
    }

    /// Starts the actors of such numbers; returns the seconds it took.
    pub(crate) fn run(&mut self, from: usize, to: usize) -> Result<f64> {
        self.number(&format!("run {from} {to}"))
    }

    /// Lets so many calls of actor 0 begin, and none end.
    pub(crate) fn hold(&mut self, calls: usize) -> Result<()> {
        self.number(&format!("hold {calls}")).map(drop)
    }

    /// Calls actors 0 to 9 in turn for a while; returns the slowest hundredth in microseconds.
    pub(crate) fn pace(&mut self, rate: f64, turn: Duration) -> Result<f64> {
        self.number(&format!("pace {rate} {}", turn.as_millis()))
    }

    fn number(&mut self, line: &str) -> Result<f64> {
        let answer = self.0.ask(line)?;
        answer.parse().with_context(|| format!("{line}: {answer}"))
    }
}

/// Is such a process until standard input ends.
pub(crate) fn serve(folder: &Path, issuer: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let gate = Arc::new(Semaphore::new(0));
    let host = runtime.block_on(host(folder, issuer, gate.clone()))?;
    let mut stage = Stage { host, actors: Vec::new(), held: JoinSet::new(), gate };
    println!("ready");
    answer_lines(|words| {
        let number = match words {
            ["run", from, to] => runtime.block_on(stage.run(folder, from.parse()?, to.parse()?))?,
            ["hold", calls] => runtime.block_on(stage.hold(calls.parse()?))?,
            ["pace", rate, millis] => stage.pace(&runtime, rate.parse()?, Duration::from_millis(millis.parse()?))?,
            _ => bail!("not understood: {words:?}"),
        };
        Ok(number.to_string())
    })
}

async fn host(folder: &Path, issuer: &str, gate: Arc<Semaphore>) -> Result<Host> {
    let config = EngineConfig {
        cache_dir: Some(folder.join("cache")),
        // Ten thousand modules do not fit into what is usual.
        cache_max_bytes: 16 << 30,
        // Nobody is to be spared while they are compiled.
        compile_threads: std::thread::available_parallelism()?.get(),
        ..EngineConfig::default()
    };
    let trust = TrustPolicy::new().trust_account(issuer.parse()?)?;
    let host = Host::builder(Engine::new(config)?, trust).provider_kind("holding", Holding { gate }).start().await?;
    host.start_provider(StartProvider::new("builtin:holding"), &Steps::ignore()).await?;
    Ok(host)
}

struct Stage {
    host: Host,
    actors: Vec<String>,
    held: JoinSet<()>,
    gate: Arc<Semaphore>,
}

impl Stage {
    async fn run(&mut self, folder: &Path, from: usize, to: usize) -> Result<f64> {
        let begun = Instant::now();
        let host = &self.host;
        let starts = stream::iter(from..to).map(|number| async move {
            let reference = format!("file://{}/{number}.wasm", folder.display());
            let options = StartActor { max_in_flight: Some(1000), ..StartActor::default() };
            host.start_actor_from(&reference, options, &Steps::ignore()).await
        });
        let started: Vec<_> = starts.buffered(STARTED_AT_ONCE).try_collect().await?;
        let took = begun.elapsed().as_secs_f64();
        self.actors.extend(started.iter().map(ToString::to_string));
        Ok(took)
    }

    /// Returns how many calls have come to the provider.
    async fn hold(&mut self, calls: usize) -> Result<f64> {
        let actor = self.actors.first().context("no actor")?.clone();
        link(&self.host, actor.parse()?, CONTRACT, "holding".parse()?, Default::default()).await?;
        for _ in 0..calls {
            let (host, actor) = (self.host.clone(), actor.clone());
            self.held.spawn(async move {
                let wait = Some(Duration::from_secs(600));
                // Ends with the process at the latest.
                let _ = host.call(&actor, "hold", Bytes::new(), wait).await;
            });
        }
        // Each call that arrives opens the gate by one.
        let all = self.gate.acquire_many(u32::try_from(calls)?);
        tokio::time::timeout(Duration::from_secs(60), all).await.context("not all calls came in")??.forget();
        Ok(self.held.len() as f64)
    }

    fn pace(&self, runtime: &Runtime, rate: f64, turn: Duration) -> Result<f64> {
        let busy: Vec<_> = self.actors.iter().take(BUSY).cloned().collect();
        let due = crate::http::open_loop::due_times(rate, Arrivals::Even, turn);
        let begun = Instant::now();
        let handle = runtime.handle();
        let mut took_us = Vec::with_capacity(due.len());
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        for (due, actor) in due.iter().zip(busy.iter().cycle()) {
            let due = begun + *due;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = handle.block_on(self.host.call(actor, "ping", Bytes::from_static(b"ping"), None))?;
            ensure!(answer == "ping", "a wrong answer");
            took_us.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        took_us.sort_unstable();
        Ok(percentile(&took_us, 99.0))
    }
}

/// Makes a key-value provider that never answers.
struct Holding {
    gate: Arc<Semaphore>,
}

impl ProviderFactory for Holding {
    fn create(
        &self,
        _context: ProviderContext,
        _predecessor: Option<wattle_types::Handover>,
    ) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        let contracts = CONTRACT.parse().map(|contract: ContractId| vec![contract]);
        let gate = self.gate.clone();
        Box::pin(async move {
            let contracts = contracts.map_err(|error| ProviderError::BadConfig(error.to_string()))?;
            Ok(Arc::new(Holder { contracts, gate }) as Arc<dyn Provider>)
        })
    }
}

struct Holder {
    contracts: Vec<ContractId>,
    gate: Arc<Semaphore>,
}

impl Provider for Holder {
    fn contracts(&self) -> &[ContractId] {
        &self.contracts
    }

    fn put_link(&self, _link: Arc<LinkDefinition>) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(async { Ok(()) })
    }

    fn delete_link<'a>(&'a self, _key: &'a LinkKey) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn handle(&self, _call: ProviderCall) -> BoxFuture<'_, Result<Bytes, ProviderError>> {
        self.gate.add_permits(1);
        Box::pin(std::future::pending())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
