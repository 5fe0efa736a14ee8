//! A host, its provider's process, and actors that count there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use wattle_bus::{
    NatsAuth, NatsBus, NatsOptions,
    nats_server::{self, NatsServer, NatsServerOptions},
};
use wattle_host::{Host, ProviderRpc, StartActor, StartProvider, Steps};
use wattle_lattice_tests::{Guest, ThirdParty};
use wattle_types::{ActorId, LinkDefinition, LinkKey, LinkName};
use wattle_wascap::{
    Actor, Archive, Claims, Compression, KeyKind, KeyPair, Provider, TrustPolicy, current_target, sign_archive,
    sign_module,
};

use crate::{
    guests::http_get,
    rig::{bytes_of, engine, now, timely},
};

/// What the provider is called on the host.
const PROVIDER: &str = "kv";
const CONTRACT: &str = "wasmcloud:keyvalue";

/// When it is dropped, what is left of the provider is killed.
pub(crate) struct Scene {
    host: Host,
    /// A reference to the signed archive.
    archive: String,
    issuer: KeyPair,
    programs: Programs,
    _nats: NatsServer,
    _folder: TempDir,
}

impl Scene {
    /// Returns the program of the provider made with `wasmbus-rpc`.
    pub(crate) fn wasmbus_provider() -> Vec<u8> {
        std::fs::read(ThirdParty::here().bring_provider(&|step| eprintln!("{step}")).unwrap()).unwrap()
    }

    /// Starts a host and `program` as its provider.
    pub(crate) async fn start(program: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = KeyPair::generate(KeyKind::Account).unwrap();
        let server = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
        let options = NatsServerOptions {
            program: server,
            directory: folder.path().join("nats"),
            port: None,
            durable_writes: false,
        };
        let nats = NatsServer::start(options).await.unwrap();
        let archive = write_archive(folder.path(), program, &issuer);
        let programs = Programs(folder.path().canonicalize().unwrap().join("binaries"));
        let host = start_host(&nats, &issuer, &programs).await;
        let scene = Self { host, archive, issuer, programs, _nats: nats, _folder: folder };
        let id = Some(PROVIDER.parse().unwrap());
        let options = StartProvider { id, ..StartProvider::new(&scene.archive) };
        timely(scene.host.start_provider(options, &Steps::ignore())).await.unwrap();
        scene
    }

    /// Signs and starts one more counter.
    pub(crate) async fn counter(&self) -> ActorId {
        let key = KeyPair::generate(KeyKind::Module).unwrap();
        let claims = Claims::new(Actor::new("Counter").capability(CONTRACT), key.public_key(), now());
        let module = sign_module(&bytes_of(Guest::WasmbusCounter), &claims, &self.issuer).unwrap();
        self.host.start_actor(Bytes::from(module), StartActor::default(), &Steps::ignore()).await.unwrap()
    }

    pub(crate) async fn link(&self, actor: ActorId, values: &[(&str, &str)]) {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let link = LinkDefinition { key: link_key(actor), provider: PROVIDER.parse().unwrap(), values };
        timely(self.host.put_link(link, false)).await.unwrap();
    }

    pub(crate) async fn unlink(&self, actor: ActorId) {
        timely(self.host.delete_link(&link_key(actor))).await.unwrap();
    }

    /// Has an actor count and returns what it counted, or the code of what went wrong.
    pub(crate) async fn count(&self, actor: ActorId) -> Result<i32, &'static str> {
        #[derive(serde::Deserialize)]
        struct Response {
            #[serde(with = "serde_bytes")]
            body: Vec<u8>,
        }
        let called = self.host.call(&actor.to_string(), "HttpServer.HandleRequest", http_get().into(), None).await;
        let answer = called.map_err(|error| {
            eprintln!("counting failed: {error}");
            error.root().code()
        })?;
        let response: Response = rmp_serde::from_slice(&answer).unwrap();
        let body: BTreeMap<String, i32> = serde_json::from_slice(&response.body).unwrap();
        Ok(body["counter"])
    }

    /// Returns the one process of the provider.
    pub(crate) fn pid(&self) -> Pid {
        let pids = self.programs.running();
        assert_eq!(pids.len(), 1, "{pids:?}");
        pids[0]
    }

    /// Moves all calls to a new generation of the provider.
    pub(crate) async fn swap(&self, config: BTreeMap<String, String>) {
        let id = PROVIDER.parse().unwrap();
        timely(self.host.update_provider(&id, &self.archive, Some(config), false, &Steps::ignore())).await.unwrap();
    }

    /// Ends the provider, of which nothing may be left, and the host.
    pub(crate) async fn end(&self) {
        timely(self.host.stop_provider(&PROVIDER.parse().unwrap(), &Steps::ignore())).await.unwrap();
        assert_eq!(self.programs.running(), []);
        timely(self.host.shutdown()).await;
    }
}

/// Packs and signs the provider and returns a reference to it.
fn write_archive(folder: &Path, program: Vec<u8>, issuer: &KeyPair) -> String {
    let archive = Archive { binaries: BTreeMap::from([(current_target(), program.into())]), world: None };
    let key = KeyPair::generate(KeyKind::Provider).unwrap();
    let claims = Claims::new(Provider::new("Counters", CONTRACT, "Others"), key.public_key(), now());
    let path = folder.join("provider.par.gz");
    std::fs::write(&path, sign_archive(&archive, &claims, issuer, Compression::Gzip).unwrap()).unwrap();
    format!("file://{}", path.display())
}

/// Starts a host whose processes may do no more than they have to.
async fn start_host(nats: &NatsServer, issuer: &KeyPair, programs: &Programs) -> Host {
    let credentials = nats.credentials().unwrap();
    let urls = vec![nats.url().to_owned()];
    let auth = NatsAuth::CredentialsFile(credentials.to_owned());
    let bus = NatsBus::connect(NatsOptions { urls, auth, ..NatsOptions::default() }).await.unwrap();
    let credentials = std::fs::read_to_string(nats.provider_credentials().unwrap()).unwrap();
    let after = |title: &str| {
        let line = credentials.lines().skip_while(|line| !line.contains(title)).nth(1);
        line.unwrap().to_owned()
    };
    let rpc = ProviderRpc {
        nats_url: nats.url().to_owned(),
        user_jwt: after("BEGIN NATS USER JWT"),
        user_seed: after("BEGIN USER NKEY SEED"),
        binaries: programs.0.clone(),
    };
    let trust = TrustPolicy::new().trust_account(issuer.public_key()).unwrap();
    Host::builder(engine(), trust).bus(Arc::new(bus)).provider_rpc(rpc).start().await.unwrap()
}

fn link_key(actor: ActorId) -> LinkKey {
    LinkKey { actor, contract: CONTRACT.parse().unwrap(), link_name: LinkName::default() }
}

/// The folder that provider processes of one host are started from.
struct Programs(PathBuf);

impl Programs {
    /// Returns the processes whose program lies there.
    fn running(&self) -> Vec<Pid> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let ours = processes.filter(|process| {
            std::fs::read_link(process.path().join("exe")).is_ok_and(|program| program.starts_with(&self.0))
        });
        ours.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for pid in self.running() {
            let _gone_already = kill_process(pid, Signal::KILL);
        }
    }
}
