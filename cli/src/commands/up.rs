//! `wattle up`.

mod background;
mod signals;
mod trust;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wattle_bus::{
    Bus,
    nats_server::{NatsServer, NatsServerOptions},
};
use wattle_types::{BoxFuture, LatticeId};
use wattle_wascap::{KeyKind, PublicKey};

use self::signals::Signals;
use super::{
    claims::tell_if_new,
    pairs::{self, Pair},
    start::start_provider,
};
use crate::{
    HostError, HostOptions, HostSignals, LogFormat, LogOptions, NatsAccess, Ready,
    context::Context,
    control::Client,
    error::{CliError, Kind},
    keystore::DEFAULT_NAME,
    run_dir::{Lock, Nats, RunDir, State},
    table,
};

const EXAMPLES: &str = "\
Examples:
  wattle up                                     in the foreground; Ctrl-C ends it
  wattle up --detached --provider httpserver    in the background; wattle down ends it
  wattle up --nats-url nats://nats.example:4222 --nats-creds host.creds --label zone=edge

Without --nats-url a nats-server with JetStream is started on this machine, and ends with the host.
The host accepts what is signed by the accounts in your keys directory, and by those given with --trust.";

/// Starts a host on this machine, and NATS for it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    /// Run in the background; returns when the host takes work.
    #[arg(short, long, visible_alias = "detach")]
    detached: bool,
    /// A name for people.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What the host says of itself; repeat for more.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pairs::pair)]
    labels: Vec<Pair>,
    /// A provider to start at once; repeat for more.
    #[arg(long = "provider", value_name = "REFERENCE")]
    providers: Vec<String>,
    #[command(flatten)]
    trust: trust::TrustArgs,
    /// The host's own key: a name or file [default: a new one each time].
    #[arg(long, value_name = "KEY")]
    host_key: Option<String>,
    /// The key by which hosts of a lattice know each other: a name or file. Hosts with one key work together.
    #[arg(long, value_name = "KEY", default_value = DEFAULT_NAME)]
    cluster_key: String,
    /// Another cluster key (C...) whose hosts to work with; repeat for more.
    #[arg(long, value_name = "CLUSTER")]
    cluster_issuer: Vec<PublicKey>,
    /// Carry out signed requests only. `wattle` signs by itself; tools of others do not.
    #[arg(long)]
    require_signed: bool,
    /// Another key (A..., O... or U...) whose signed requests are carried out, beside the accounts of the keys
    /// directory; repeat for more.
    #[arg(long, value_name = "KEY")]
    controller: Vec<PublicKey>,
    /// The NATS user that providers' processes are (.creds) [default: one that may do nothing else, on the NATS that
    /// `up` starts; otherwise the host's].
    #[arg(long, value_name = "FILE")]
    provider_nats_creds: Option<PathBuf>,
    /// The JetStream domain of the lattice's state, for a NATS that is a leaf node [default: that NATS's own
    /// JetStream].
    #[arg(long, env = "WATTLE_JS_DOMAIN", hide_env_values = true, value_name = "DOMAIN", value_parser = js_domain)]
    js_domain: Option<String>,
    /// Where our nats-server listens on this machine; 0 for any free port.
    #[arg(long, value_name = "PORT", default_value_t = 4222)]
    nats_port: u16,
    /// Have our nats-server write each change to the disk before it acknowledges it: a power cut loses none, but
    /// changes take longer. Otherwise it does so every two minutes. Needs nats-server 2.10 or later.
    #[arg(long)]
    durable_writes: bool,
    /// Where compiled modules are kept [default: ~/.cache/wattle].
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// How long a call may take when its caller does not say, in milliseconds.
    #[arg(long, value_name = "MS")]
    call_timeout_ms: Option<u64>,
    /// How long calls in flight may take to end when something is replaced or stopped.
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,
    /// How many calls of one actor may run at once.
    #[arg(long, value_name = "CALLS")]
    max_in_flight: Option<usize>,
    /// How many calls of all actors may run at once, as each has a sandbox of its own [default: 1000].
    #[arg(
        long,
        value_name = "CALLS",
        env = "WATTLE_SANDBOXES",
        hide_env_values = true,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    sandboxes: Option<u32>,
    /// How often other hosts hear that this one is there, in milliseconds, from 50 to 60000 [default: 500].
    #[arg(
        long,
        value_name = "MS",
        env = "WATTLE_BEAT_MS",
        hide_env_values = true,
        value_parser = clap::value_parser!(u64).range(50..=60_000)
    )]
    beat_ms: Option<u64>,
    /// What is logged: error, warn, info, debug or trace, also by module.
    #[arg(long, value_name = "FILTER", env = "WATTLE_LOG", hide_env_values = true, default_value = "info")]
    log: String,
    /// How log lines are written: text or json.
    #[arg(long, value_enum, default_value = "text", hide_possible_values = true, value_name = "FORMAT")]
    log_format: LogFormat,
}

pub(super) async fn run(context: &Context, args: UpArgs) -> Result<(), CliError> {
    let run_dir = context.run_dir()?;
    let options = options(context, &args)?;
    if args.detached {
        return background::start(context, &run_dir).await;
    }
    let mut signals = Signals::listen()?;
    let lock = run_dir.claim()?;
    if let Some(remarks) = context.host.init_logging(&options.log) {
        context.output.remark_to(remarks);
    }
    if run_dir.end_leftover(&lock).await? {
        context.output.remark("Ended the nats-server that a killed host had left here.");
    }
    let Some(nats) = signals.unless(start_nats(context, &args, &run_dir)).await? else {
        return ended_early(context);
    };
    let result = serve(context, &args, (options, &mut signals), &run_dir, nats.as_ref()).await;
    run_dir.clear();
    if let Some(nats) = nats {
        nats.stop().await;
    }
    release(lock);
    result
}

/// Nothing was begun that could be drained.
fn ended_early(context: &Context) -> Result<(), CliError> {
    context.output.remark("Ended before the host was started.");
    Ok(())
}

/// Only when everything of this host is gone may another take its place.
fn release(lock: Lock) {
    drop(lock);
}

/// Checks the name of a JetStream domain: one word of a subject.
fn js_domain(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || ".*>".contains(c));
    if is_word {
        Ok(text.to_owned())
    } else {
        Err("it is one word, without a dot, as in the server's configuration".into())
    }
}

fn options(context: &Context, args: &UpArgs) -> Result<HostOptions, CliError> {
    context.host.check_log_filter(&args.log).map_err(|why| {
        CliError::usage(format!("--log {:?} cannot be read: {why}", args.log))
            .hint("give a level, or levels by module: --log info,wattle_host=debug")
    })?;
    if args.durable_writes && context.connection.nats_url.is_some() {
        return Err(CliError::usage("--durable-writes is of the nats-server that `up` starts, not of another one")
            .hint("write sync_interval: always into the jetstream block of that server's configuration")
            .hint("or go without --nats-url (WATTLE_NATS_URL)"));
    }
    let keys = context.keys()?;
    keys.warn_of_faults(&context.output)?;
    let identity = match &args.host_key {
        Some(wanted) => {
            let key = keys.find_or_generate(wanted, KeyKind::Host)?;
            tell_if_new(context, "host", &key);
            Some(key.key.pair)
        }
        None => None,
    };
    let cluster = keys.find_or_generate(&args.cluster_key, KeyKind::Cluster)?;
    tell_if_new(context, "cluster", &cluster);
    for issuer in &args.cluster_issuer {
        issuer.expect_kind(KeyKind::Cluster)?;
    }
    let cache_dir = args.cache_dir.as_ref().map(|path| context.directory.join(path));
    Ok(HostOptions {
        lattice: context.connection.lattice.clone(),
        friendly_name: args.name.clone(),
        labels: pairs::each_once(args.labels.iter().cloned())?,
        identity,
        cluster: Some(cluster.key.pair),
        cluster_issuers: args.cluster_issuer.clone(),
        require_signed: args.require_signed,
        controllers: keys.public_keys(KeyKind::Account)?.into_iter().chain(args.controller.iter().copied()).collect(),
        trust: trust::policy(context, &keys, &args.trust)?,
        nats: NatsAccess::default(),
        cache_dir: cache_dir.map_or_else(|| context.cache_dir(), Ok)?,
        call_timeout: args.call_timeout_ms.map(Duration::from_millis),
        drain_timeout: args.drain_seconds.map(Duration::from_secs),
        max_in_flight: args.max_in_flight,
        sandboxes: args.sandboxes,
        beat_interval: args.beat_ms.map(Duration::from_millis),
        log: LogOptions { filter: args.log.clone(), format: args.log_format },
    })
}

/// Starts a nats-server, unless another NATS was named.
async fn start_nats(context: &Context, args: &UpArgs, run_dir: &RunDir) -> Result<Option<NatsServer>, CliError> {
    if context.connection.nats_url.is_some() {
        return Ok(None);
    }
    let program = (context.find_nats_server)().map_err(|error| {
        CliError::from(error).hint("or join a NATS that already runs: wattle up --nats-url nats://HOST:PORT")
    })?;
    let port = Some(args.nats_port).filter(|port| *port != 0);
    let (directory, durable_writes) = (run_dir.nats_directory(), args.durable_writes);
    let server = NatsServer::start(NatsServerOptions { program, directory, port, durable_writes }).await?;
    Ok(Some(server))
}

/// Runs the host from its start to its end.
async fn serve(
    context: &Context,
    args: &UpArgs,
    (mut options, signals): (HostOptions, &mut Signals),
    run_dir: &RunDir,
    own_nats: Option<&NatsServer>,
) -> Result<(), CliError> {
    let nats = own_nats.map_or_else(|| context.nats(), Nats::of);
    let Some(bus) = signals.unless(context.bus_of(&nats, args.js_domain.clone())).await? else {
        return ended_early(context);
    };
    options.nats = processes_access(context, args, &nats, own_nats)?;
    let lattice = options.lattice.clone();
    let (ready_sender, ready) = oneshot::channel();
    let stop = CancellationToken::new();
    let both = HostSignals { ready: ready_sender, stop: stop.clone() };
    let mut running = context.host.run(options, Arc::clone(&bus), both);
    let tending = async {
        let Ok(ready) = ready.await else { return std::future::pending().await };
        // The state comes last: whoever waits for it finds everything there that was asked for.
        start_providers(context, args, &bus, &ready, &lattice).await?;
        announce(context, run_dir, &state(&ready, &lattice, nats, own_nats.is_some()))?;
        std::future::pending::<Result<(), CliError>>().await
    };
    let ended = tokio::select! {
        biased;
        ended = &mut running => ended.map_err(CliError::from),
        () = signals.next() => {
            context.output.remark("Draining; a second Ctrl-C ends it at once.");
            stop.cancel();
            finish(&mut running, signals).await
        }
        failed = tending => {
            stop.cancel();
            failed.and(finish(&mut running, signals).await)
        }
    };
    bus.drain().await;
    ended
}

/// Returns what processes of the host's get to reach NATS: no more than they need, where that is known.
fn processes_access(
    context: &Context,
    args: &UpArgs,
    nats: &Nats,
    own_nats: Option<&NatsServer>,
) -> Result<NatsAccess, CliError> {
    let own = own_nats.and_then(NatsServer::provider_credentials);
    let given = args.provider_nats_creds.as_deref().or(own).or(nats.credentials.as_deref());
    let credentials = given.map(|file| context.read(file)).transpose()?.unwrap_or_default();
    Ok(NatsAccess::with_credentials(nats.url.clone(), &String::from_utf8_lossy(&credentials)))
}

/// Waits for the host to drain, unless somebody is in a hurry.
async fn finish(running: &mut BoxFuture<'_, Result<(), HostError>>, signals: &mut Signals) -> Result<(), CliError> {
    tokio::select! {
        biased;
        ended = running => ended.map_err(CliError::from),
        () = signals.next() => Err(CliError::new(Kind::Internal, "forced", "ended before all calls were answered")),
    }
}

fn state(ready: &Ready, lattice: &LatticeId, nats: Nats, owns_nats: bool) -> State {
    State {
        pid: std::process::id(),
        host_id: ready.id.to_string(),
        friendly_name: ready.friendly_name.clone(),
        lattice: lattice.to_string(),
        nats_url: nats.url,
        nats_creds: nats.credentials,
        owns_nats,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

fn announce(context: &Context, run_dir: &RunDir, state: &State) -> Result<(), CliError> {
    run_dir.write(state)?;
    tell(context, state)
}

/// Tells that a host is up, and what to try next.
fn tell(context: &Context, state: &State) -> Result<(), CliError> {
    context.output.result(&json!(state), |_| {
        table::pairs(&[
            ("host", format!("{} ({})", state.friendly_name, state.host_id)),
            ("lattice", state.lattice.clone()),
            ("NATS", state.nats_url.clone()),
        ])
    })?;
    context
        .output
        .remark("Next: wattle start actor MODULE.wasm, wattle start provider httpserver, wattle get inventory");
    if context.connection.run_dir.is_some() {
        let run_dir = context.run_dir()?;
        context.output.remark(&format!("Give those --run-dir {} (or set WATTLE_RUN_DIR).", run_dir.path().display()));
    }
    Ok(())
}

async fn start_providers(
    context: &Context,
    args: &UpArgs,
    bus: &Arc<dyn Bus>,
    ready: &Ready,
    lattice: &LatticeId,
) -> Result<(), CliError> {
    let client =
        Client::new(Arc::clone(bus), lattice.clone(), context.connection.timeout()).signed_by(context.signer()?);
    for provider in &args.providers {
        start_provider(context, &client, &ready.id, provider).await?;
    }
    Ok(())
}

impl From<HostError> for CliError {
    fn from(error: HostError) -> Self {
        Self::from_host(error.code, error.message, error.remedy)
    }
}
