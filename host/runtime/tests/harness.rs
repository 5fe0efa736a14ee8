//! One engine for all tests, guests from text, and an outside that records what they do.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wattle_runtime::{
    Engine, EngineConfig, EngineError, GuestCall, GuestError, HostCall, HostCalls, Interrupt, Limits, ModuleImage,
    PrepareStep, Prepared,
};
use wattle_types::{BoxFuture, Deadline};

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(config()).unwrap());

pub(crate) fn config() -> EngineConfig {
    EngineConfig { pool_size: 200, start_timeout: Duration::from_millis(500), ..EngineConfig::default() }
}

/// Small enough to be reached at once.
pub(crate) fn limits() -> Limits {
    Limits {
        memory_bytes: 8 << 20,
        table_elements: 10_000,
        payload_bytes: 1 << 20,
        host_calls: 100,
        log_lines: 5,
        log_line_bytes: 64,
    }
}

pub(crate) async fn prepare(text: &str) -> Result<Prepared, EngineError> {
    prepare_steps(&ENGINE, text).await.map(|(prepared, _)| prepared)
}

/// Prepares a guest and returns the names of the steps that were reported.
pub(crate) async fn prepare_steps(engine: &Engine, text: &str) -> Result<(Prepared, Vec<PrepareStep>), EngineError> {
    let wasm = wat::parse_str(text).unwrap();
    prepare_bytes(engine, &wasm).await
}

pub(crate) async fn prepare_bytes(engine: &Engine, wasm: &[u8]) -> Result<(Prepared, Vec<PrepareStep>), EngineError> {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let image = ModuleImage { hash: Sha256::digest(wasm).into(), wasm };
    let prepared = engine.prepare(image, limits(), move |step| seen.lock().unwrap().push(step)).await?;
    let steps = steps.lock().unwrap().clone();
    Ok((prepared, steps))
}

/// One of the fixtures that live with the other actors.
pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/../../actors/fixtures/{name}.wat", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) async fn call(guest: &Prepared, payload: &[u8]) -> Result<Bytes, GuestError> {
    call_with(guest, payload, Arc::new(Outside::default())).await
}

pub(crate) async fn call_with(guest: &Prepared, payload: &[u8], outside: Arc<Outside>) -> Result<Bytes, GuestError> {
    call_until(guest, payload, outside, Duration::from_secs(20), &Interrupt::default()).await
}

pub(crate) async fn call_until(
    guest: &Prepared,
    payload: &[u8],
    outside: Arc<Outside>,
    wait: Duration,
    interrupt: &Interrupt,
) -> Result<Bytes, GuestError> {
    let deadline = Deadline::after(Instant::now(), wait);
    let payload = Bytes::copy_from_slice(payload);
    guest.call(GuestCall { operation: "Test.Run", payload, deadline, interrupt }, outside).await
}

/// Answers host calls and remembers them.
#[derive(Default)]
pub(crate) struct Outside {
    /// `binding|namespace|operation|payload` of each call.
    pub calls: Mutex<Vec<String>>,
    pub log: Mutex<Vec<String>>,
    pub answer: Answer,
}

#[derive(Default)]
pub(crate) enum Answer {
    #[default]
    Echo,
    Fail(&'static str),
    Bytes(usize),
    Never,
}

impl Outside {
    pub(crate) fn new(answer: Answer) -> Arc<Self> {
        Arc::new(Self { answer, ..Self::default() })
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl HostCalls for Outside {
    fn call<'a>(&'a self, call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        let HostCall { binding, namespace, operation, payload } = call;
        let text = format!("{binding}|{namespace}|{operation}|{}", String::from_utf8_lossy(&payload));
        self.calls.lock().unwrap().push(text);
        Box::pin(async move {
            tokio::task::yield_now().await;
            match self.answer {
                Answer::Echo => Ok(payload),
                Answer::Fail(text) => Err(text.to_owned()),
                Answer::Bytes(size) => Ok(vec![7; size].into()),
                Answer::Never => std::future::pending().await,
            }
        })
    }

    fn log(&self, line: &str) {
        self.log.lock().unwrap().push(line.to_owned());
    }
}
