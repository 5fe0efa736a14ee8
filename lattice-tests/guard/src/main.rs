//! Walks the path of a call so many times: `wattle-guard CASE TIMES`.
//!
//! One thread, no network, a guest that only echoes. What a run costs before its first call is the same for any number
//! of calls, so the difference of two runs is the calls' own.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use wattle_host::{Host, StartActor, Steps};
use wattle_runtime::{Engine, EngineConfig, GuestCall, HostCall, HostCalls, Interrupt, Limits, ModuleImage};
use wattle_types::{BoxFuture, Deadline};
use wattle_wascap::{Actor, Claims, KeyKind, KeyPair, TrustPolicy, sign_module};

const OPERATION: &str = "echo";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed.
            drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n")));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let [case, times] = words else { bail!("say a case and how many times") };
    let times = times.parse().context("how many times?")?;
    let (path, size) = case.split_once('-').context("a case is PATH-BYTES")?;
    let payload = Bytes::from(vec![0x5a; size.parse().context("how many bytes?")?]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match path {
        "engine" => runtime.block_on(engine(&payload, times)),
        "host" => runtime.block_on(host(&payload, times)),
        _ => bail!("the paths are engine and host"),
    }
}

/// An engine that needs little address space: programs that count instructions have less of it.
fn small_engine() -> Result<Engine> {
    Ok(Engine::new(EngineConfig { pool_size: 4, compile_threads: 1, ..EngineConfig::default() })?)
}

fn module() -> Result<Vec<u8>> {
    Ok(wat::parse_str(include_str!("echo.wat"))?)
}

/// Calls the engine.
async fn engine(payload: &Bytes, times: u32) -> Result<()> {
    let image = ModuleImage { hash: [0; 32], wasm: &module()? };
    let guest = small_engine()?.prepare(image, Limits::default(), |_| ()).await?;
    let interrupt = Interrupt::default();
    let outside: Arc<dyn HostCalls> = Arc::new(Nobody);
    for _ in 0..times {
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(600));
        let call = GuestCall { operation: OPERATION, payload: payload.clone(), deadline, interrupt: &interrupt };
        let answer = guest.call(call, outside.clone()).await?;
        ensure!(answer.len() == payload.len(), "the guest does not echo");
    }
    Ok(())
}

/// Calls an actor through a host: look-up, admission, slot, engine.
async fn host(payload: &Bytes, times: u32) -> Result<()> {
    let (account, key) = (KeyPair::generate(KeyKind::Account)?, KeyPair::generate(KeyKind::Module)?);
    let module = sign_module(&module()?, &Claims::new(Actor::new("echo"), key.public_key(), 0), &account)?;
    let trust = TrustPolicy::new().trust_account(account.public_key())?;
    let host = Host::builder(small_engine()?, trust).start().await?;
    let actor = host.start_actor(module.into(), StartActor::default(), &Steps::ignore()).await?.to_string();
    for _ in 0..times {
        let answer = host.call(&actor, OPERATION, payload.clone(), Some(Duration::from_secs(600))).await?;
        ensure!(answer.len() == payload.len(), "the guest does not echo");
    }
    Ok(())
}

/// An outside that serves nothing: the guest asks for nothing.
struct Nobody;

impl HostCalls for Nobody {
    fn call<'a>(&'a self, _call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        Box::pin(async { Err("nobody is here".into()) })
    }

    fn log(&self, _line: &str) {}
}
