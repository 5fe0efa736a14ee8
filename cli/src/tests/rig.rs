//! A home directory, a bus, hosts that answer by script, and one command line at a time.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{sync::oneshot, task::JoinSet};
use wattle_bus::{Bus, MemoryBus, nats_server::NatsServerError};
use wattle_types::{
    BoxFuture, HostId, LatticeId,
    control::{
        ActorDescription, ActorDetails, Command, Host, HostInventory, Progress, ProviderDescription, ProviderDetails,
        Reply,
    },
    subject,
};

use crate::{
    HostError, HostOptions, HostRunner, HostSignals, LogOptions, Ready,
    context::{Connect, Environment, Interrupt, execute},
    output::Stream,
};

pub(super) const HOST: &str = "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB";
pub(super) const OTHER_HOST: &str = "NBLKCB57BTHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QNVW";
pub(super) const ACTOR: &str = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP";
pub(super) const PROVIDER: &str = "VAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP";
pub(super) const ACCOUNT: &str = "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV";

/// The time at which every test takes place.
pub(super) const NOW: u64 = 1_790_000_000;

/// What one command line left behind.
#[must_use]
pub(super) struct Ran {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit code {}", self.code)?;
        for (name, text) in [("standard output", &self.out), ("standard error", &self.err)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

impl Ran {
    /// Returns the one JSON document on standard output.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not one document: {error}\n{self}"))
    }
}

/// Everything around a command.
pub(super) struct Rig {
    pub(super) folder: tempfile::TempDir,
    pub(super) bus: MemoryBus,
    pub(super) connect: Connect,
    pub(super) find_nats_server: fn() -> Result<PathBuf, NatsServerError>,
    pub(super) interrupt: Interrupt,
    pub(super) columns: Option<usize>,
    pub(super) now: u64,
    hosts: JoinSet<()>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let bus = MemoryBus::new();
        let network = bus.clone();
        let connect: Connect = Arc::new(move |_| {
            let bus: Arc<dyn Bus> = Arc::new(network.connect());
            Box::pin(async move { Ok(bus) })
        });
        let find_nats_server = || Err(NatsServerError::NotFound);
        let interrupt: Interrupt = Arc::new(|| Box::pin(std::future::pending()));
        let folder = tempfile::tempdir().unwrap();
        Self { folder, bus, connect, find_nats_server, interrupt, columns: None, now: NOW, hosts: JoinSet::new() }
    }

    /// Makes a rig with one host that answers commands by `script`.
    pub(super) async fn with_host(script: impl Fn(&Command) -> Vec<Progress> + Send + Sync + 'static) -> Self {
        let mut rig = Self::new();
        rig.add_host("quiet-reed", HOST, script).await;
        rig
    }

    pub(super) async fn add_host(
        &mut self,
        name: &str,
        id: &str,
        script: impl Fn(&Command) -> Vec<Progress> + Send + Sync + 'static,
    ) {
        self.add_host_that_runs(name, id, inventory(name, id), script).await;
    }

    /// Adds a host that runs nothing.
    pub(super) async fn add_idle_host(
        &mut self,
        name: &str,
        id: &str,
        script: impl Fn(&Command) -> Vec<Progress> + Send + Sync + 'static,
    ) {
        let idle = HostInventory { components: Vec::new(), providers: Vec::new(), ..inventory(name, id) };
        self.add_host_that_runs(name, id, idle, script).await;
    }

    async fn add_host_that_runs(
        &mut self,
        name: &str,
        id: &str,
        inventory: HostInventory,
        script: impl Fn(&Command) -> Vec<Progress> + Send + Sync + 'static,
    ) {
        let host = Host {
            id: id.into(),
            friendly_name: name.into(),
            labels: BTreeMap::from([("zone".into(), "edge".into())]),
            lattice: "default".into(),
            uptime_seconds: 75,
            uptime_human: None,
            version: Some("0.1.0".into()),
        };
        let ready = answer(self.bus.connect(), host, inventory, script, &mut self.hosts).await;
        ready.await.unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the directory the commands run in.
    pub(super) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, Arc::new(NoHost)).await
    }

    pub(super) async fn run_with(&self, arguments: &[&str], host: Arc<dyn HostRunner>) -> Ran {
        let (out, err) = (Sink::default(), Sink::default());
        let code = self.run_into(arguments, host, Box::new(out.clone()), Box::new(err.clone())).await;
        Ran { code, out: self.plain(&out), err: self.plain(&err) }
    }

    pub(super) async fn run_into(&self, arguments: &[&str], host: Arc<dyn HostRunner>, out: Stream, err: Stream) -> u8 {
        let environment = Environment {
            results: out,
            remarks: err,
            colors: false,
            columns: self.columns,
            home: Some(self.folder.path().into()),
            state_home: None,
            cache_home: None,
            directory: self.folder.path().into(),
            now: self.now,
            connect: Arc::clone(&self.connect),
            find_nats_server: self.find_nats_server,
            interrupt: Arc::clone(&self.interrupt),
        };
        let arguments: Vec<OsString> = std::iter::once(&"wattle").chain(arguments).map(OsString::from).collect();
        execute(arguments, environment, host).await
    }

    fn plain(&self, sink: &Sink) -> String {
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let real = self.folder.path().canonicalize().unwrap();
        text.replace(real.to_str().unwrap(), "[DIR]").replace(self.folder.path().to_str().unwrap(), "[DIR]")
    }
}

/// Compares with a golden file; keys, hashes and process ids made on the way are named by their kind.
#[track_caller]
pub(super) fn golden(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("golden");
    settings.set_omit_expression(true);
    for known in [HOST, ACTOR, ACCOUNT] {
        let short = format!("{}...", &known[..4]);
        settings.add_filter(known, short);
    }
    settings.add_filter(r"\b([AMNOV])[A-Z2-7]{55}\b", "[$1 KEY]");
    settings.add_filter(r"\bS[A-Z2-7]{57}\b", "[SEED]");
    settings.add_filter(r"\b[0-9A-F]{64}\b", "[HASH]");
    settings.add_filter(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "[TOKEN]");
    settings.add_filter(r#""jti": "\w+""#, r#""jti": "[ID]""#);
    settings.add_filter(r#""pid": \d+"#, r#""pid": [PID]"#);
    settings.add_filter(r"process \d+", "process [PID]");
    settings.bind(|| insta::assert_snapshot!(name, ran.to_string()));
}

/// A stream that keeps what is written.
#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A program without a host.
pub(super) struct NoHost;

impl HostRunner for NoHost {
    fn check_log_filter(&self, filter: &str) -> Result<(), String> {
        if filter == "garbage=foo=bar" { Err("not a filter".into()) } else { Ok(()) }
    }

    fn init_logging(&self, _options: &LogOptions) -> Option<Box<dyn Write + Send>> {
        None
    }

    fn restores_sandboxes(&self) -> bool {
        false
    }

    fn run(&self, _: HostOptions, _: Arc<dyn Bus>, _: HostSignals) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async {
            Err(HostError { code: "internal".into(), message: "no host in this test".into(), remedy: None })
        })
    }
}

/// A host that answers by script until it is stopped.
pub(super) struct ScriptedHost;

impl HostRunner for ScriptedHost {
    fn check_log_filter(&self, filter: &str) -> Result<(), String> {
        if filter == "garbage=foo=bar" { Err("not a filter".into()) } else { Ok(()) }
    }

    fn init_logging(&self, _options: &LogOptions) -> Option<Box<dyn Write + Send>> {
        None
    }

    fn restores_sandboxes(&self) -> bool {
        true
    }

    fn run(
        &self,
        options: HostOptions,
        bus: Arc<dyn Bus>,
        signals: HostSignals,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let id: HostId = HOST.parse().unwrap();
            let stop_subject = subject::control_host(&options.lattice, "host.stop", &id);
            let mut stops = bus.subscribe(&stop_subject, None).await.unwrap();
            let mut gets =
                bus.subscribe(&subject::control_host(&options.lattice, "host.get", &id), None).await.unwrap();
            let friendly_name = options.friendly_name.unwrap_or_else(|| "quiet-reed".into());
            let _nobody_waits = signals.ready.send(Ready { id, friendly_name: friendly_name.clone() });
            loop {
                tokio::select! {
                    () = signals.stop.cancelled() => return Ok(()),
                    Some(get) = gets.next() => {
                        let body = serde_json::to_vec(&Reply::ok(inventory(&friendly_name, HOST))).unwrap();
                        bus.publish(&get.reply.unwrap(), None, &[], body.into()).await.unwrap();
                    }
                    Some(stop) = stops.next() => {
                        let body = serde_json::to_vec(&Reply::<()>::ack("stopping")).unwrap();
                        bus.publish(&stop.reply.unwrap(), None, &[], body.into()).await.unwrap();
                        return Ok(());
                    }
                }
            }
        })
    }
}

async fn answer(
    bus: MemoryBus,
    host: Host,
    inventory: HostInventory,
    script: impl Fn(&Command) -> Vec<Progress> + Send + Sync + 'static,
    tasks: &mut JoinSet<()>,
) -> oneshot::Receiver<()> {
    let (sender, ready) = oneshot::channel();
    let lattice = LatticeId::default();
    let mut requests = bus.subscribe(&subject::control(&lattice, ">"), None).await.unwrap();
    sender.send(()).unwrap();
    tasks.spawn(async move {
        while let Some(request) = requests.next().await {
            let Some(reply) = &request.reply else { continue };
            let verb = request.subject.strip_prefix(&subject::control(&lattice, "")).unwrap_or_default();
            let (verb, addressed) = match verb.rsplit_once('.') {
                Some((verb, id)) if id.parse::<HostId>().is_ok() => (verb, Some(id)),
                _ => (verb, None),
            };
            if addressed.is_some_and(|id| id != host.id) {
                continue;
            }
            let bodies = match verb {
                "wattle.ask" => {
                    let asked: Command = serde_json::from_slice(&request.payload).unwrap();
                    let Command::Ask { verb, .. } = asked else { panic!("{asked:?}") };
                    let result = serde_json::from_slice(&reply_of_any(&verb).unwrap()).unwrap();
                    vec![serde_json::to_vec(&Progress::Done { result }).unwrap()]
                }
                "host.ping" => vec![serde_json::to_vec(&Reply::ok(&host)).unwrap()],
                "host.get" => vec![serde_json::to_vec(&Reply::ok(&inventory)).unwrap()],
                "label.put" | "label.del" => vec![serde_json::to_vec(&Reply::<()>::ack("done")).unwrap()],
                "host.stop" => vec![serde_json::to_vec(&Reply::<()>::ack("stopping")).unwrap()],
                "claims.get" => vec![serde_json::to_vec(&Reply::ok(vec![claims()])).unwrap()],
                verb if verb.starts_with("wattle.") => {
                    let command: Command = serde_json::from_slice(&request.payload).unwrap();
                    script(&command).iter().map(|progress| serde_json::to_vec(progress).unwrap()).collect()
                }
                other => panic!("unexpected verb {other}"),
            };
            for body in bodies {
                bus.publish(reply, None, &[], body.into()).await.unwrap();
            }
        }
    });
    ready
}

/// Returns what any host answers.
fn reply_of_any(verb: &str) -> serde_json::Result<Vec<u8>> {
    match verb {
        "link.put" | "config.put.store" | "config.del.store" => serde_json::to_vec(&Reply::<()>::ack("done")),
        "config.get.store" => serde_json::to_vec(&Reply::ok(BTreeMap::from([("url", "redis://:secret@db")]))),
        "config.get.none" => serde_json::to_vec(&Reply::<()>::ack("Configuration not found")),
        other => panic!("unexpected verb {other}"),
    }
}

fn claims() -> BTreeMap<String, String> {
    let fields = [
        ("sub", ACTOR),
        ("iss", ACCOUNT),
        ("name", "Counter"),
        ("call_alias", "tally"),
        ("rev", "2"),
        ("caps", "wasmcloud:keyvalue"),
    ];
    fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn inventory(name: &str, id: &str) -> HostInventory {
    HostInventory {
        host_id: id.into(),
        friendly_name: name.into(),
        labels: BTreeMap::new(),
        version: "0.1.0".into(),
        uptime_human: "1m 15s".into(),
        uptime_seconds: 75,
        components: vec![ActorDescription {
            id: ACTOR.into(),
            image_ref: "file:///counter_s.wasm".into(),
            name: Some("Counter".into()),
            annotations: None,
            revision: 2,
            max_instances: 256,
            wattle: Some(ActorDetails {
                actor: None,
                generation: 3,
                version: Some("0.2.0".into()),
                call_alias: Some("tally".into()),
                issuer: ACCOUNT.into(),
                capabilities: vec!["wasmcloud:keyvalue".into()],
                in_flight: 7,
                expires: None,
                lapsed: None,
            }),
        }],
        providers: vec![ProviderDescription {
            id: "store".into(),
            image_ref: Some("builtin:keyvalue-redis".into()),
            name: None,
            annotations: None,
            revision: 0,
            wattle: Some(ProviderDetails {
                generation: 1,
                contracts: vec!["wasmcloud:keyvalue".into(), "wascc:keyvalue".into()],
                links: 1,
                in_flight: 0,
                unhealthy: Some("connection refused".into()),
                expires: None,
            }),
        }],
    }
}

/// Makes one step.
pub(super) fn step(step: &str, detail: &str, elapsed_ms: u64) -> Progress {
    Progress::Step { step: step.into(), detail: detail.into(), elapsed_ms }
}

/// Makes a result.
pub(super) fn done(result: serde_json::Value) -> Vec<Progress> {
    vec![Progress::Done { result }]
}
