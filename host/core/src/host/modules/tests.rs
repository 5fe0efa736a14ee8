use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;
use wattle_runtime::{Engine, EngineConfig};
use wattle_types::{
    ActorId,
    wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module},
};

use super::*;
use crate::{host::StartActor, known_modules::FileIdentity};

const GUEST: &str = r#"(module (memory (export "memory") 1)
    (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#;

struct Scene {
    dir: tempfile::TempDir,
    account: KeyPair,
    host: Host,
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let account = KeyPair::generate(KeyKind::Account).unwrap();
        let config =
            EngineConfig { cache_dir: Some(dir.path().join("cache")), pool_size: 4, ..EngineConfig::default() };
        let trust = TrustPolicy::new().trust_account(account.public_key()).unwrap();
        let host = Host::builder(Engine::new(config).unwrap(), trust).start().await.unwrap();
        Self { dir, account, host }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("module.wasm")
    }

    /// Writes another actor's module to the file.
    fn write(&self) -> ActorId {
        self.write_signed(GUEST, |claims| claims)
    }

    fn write_signed(&self, wat: &str, claims: impl FnOnce(Claims<Actor>) -> Claims<Actor>) -> ActorId {
        let module = KeyPair::generate(KeyKind::Module).unwrap();
        let claims = claims(Claims::new(Actor::new("Guest"), module.public_key(), 1_700_000_000));
        let signed = sign_module(&wat::parse_str(wat).unwrap(), &claims, &self.account).unwrap();
        fs::write(self.file(), signed).unwrap();
        module.public_key().try_into().unwrap()
    }

    /// Remembers the file as if it had been read after it lay there for a while.
    fn remember(&self) {
        let file = fs::metadata(self.file()).unwrap();
        let identity = FileIdentity::settled(&file, &file, SystemTime::now() + Duration::from_secs(60)).unwrap();
        let seal = ModuleSeal::read(&fs::read(self.file()).unwrap()).unwrap();
        self.host.0.known_modules.remember(&self.file(), &identity, &seal);
    }

    /// Starts and stops what is in the file; returns who that was, and whether the file was read.
    async fn start(&self) -> (ActorId, bool) {
        let (steps, mut told) = mpsc::channel(16);
        let reference = format!("file://{}", self.file().display());
        let started = self.host.start_actor_from(&reference, StartActor::default(), &Steps::to(steps)).await.unwrap();
        self.host.stop_actor(started, &Steps::ignore()).await.unwrap();
        let fetched = told.recv().await.unwrap();
        assert_eq!(fetched.name, "fetched");
        (started, fetched.detail.ends_with(" bytes"))
    }

    fn delete_compiled(&self) {
        for entry in fs::read_dir(self.dir.path().join("cache")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_module_is_read_again_only_after_its_file_changed() {
    let scene = Scene::new().await;
    let actor = scene.write();
    assert_eq!(scene.start().await, (actor, true));
    assert_eq!(scene.start().await, (actor, true), "a file as young as that may change unseen");
    scene.remember();
    assert_eq!(scene.start().await, (actor, false));
    let other = scene.write();
    assert_eq!(scene.start().await, (other, true));
}

#[tokio::test]
async fn a_known_module_is_read_where_it_has_to_be_compiled() {
    let scene = Scene::new().await;
    let actor = scene.write();
    assert_eq!(scene.start().await, (actor, true));
    scene.remember();
    scene.delete_compiled();
    assert_eq!(scene.start().await, (actor, true));
}

#[tokio::test]
async fn a_known_module_whose_code_and_bytes_went_meanwhile_is_refused() {
    let scene = Scene::new().await;
    let (actor, steps) = (scene.write(), Steps::ignore());
    let reference = format!("file://{}", scene.file().display());
    scene.start().await;
    scene.remember();
    let known = async || {
        let module = scene.host.fetch_module(&reference, &steps).await.unwrap();
        assert!(matches!(module.content, Content::Known(_)));
        let verified = scene.host.verify(module, &steps).await.unwrap();
        scene.delete_compiled();
        verified
    };
    let prepared = scene.host.prepare(known().await, &steps).await.unwrap();
    assert_eq!(prepared.facts.id, actor);
    let verified = known().await;
    scene.write_signed("(module)", |claims| claims);
    assert_eq!(scene.host.prepare(verified, &steps).await.err().unwrap().code(), "module_hash_mismatch");
}

#[tokio::test]
async fn a_known_module_is_held_to_its_times() {
    let scene = Scene::new().await;
    scene.write_signed(GUEST, |claims| claims.expires_at(unix_now() + 60));
    scene.start().await;
    scene.remember();
    assert!(!scene.start().await.1, "it is known");
    let seal = ModuleSeal::read(&fs::read(scene.file()).unwrap()).unwrap();
    let content = Content::Known(seal.clone());
    assert!(verify(&scene.host.0, Module { reference: String::new(), content }).is_ok());
    assert_eq!(seal.verify(unix_now() + 61, &scene.host.0.trust).unwrap_err().code(), "claims_expired");
}

#[tokio::test]
async fn a_known_module_is_held_to_whom_this_host_trusts() {
    let scene = Scene::new().await;
    scene.write();
    scene.start().await;
    scene.remember();
    let config = EngineConfig { cache_dir: Some(scene.dir.path().join("cache")), ..EngineConfig::default() };
    let stranger = Host::builder(Engine::new(config).unwrap(), TrustPolicy::new()).start().await.unwrap();
    let reference = format!("file://{}", scene.file().display());
    let module = stranger.fetch_module(&reference, &Steps::ignore()).await.unwrap();
    assert!(matches!(module.content, Content::Known(_)));
    let refused = stranger.start_actor_from(&reference, StartActor::default(), &Steps::ignore()).await.unwrap_err();
    assert_eq!(refused.code(), "issuer_not_trusted");
}
