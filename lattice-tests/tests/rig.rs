//! A guest of others in an engine of ours, and a host side that tells what it was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wattle_lattice_tests::{Guest, ThirdParty};
use wattle_runtime::{
    Engine, EngineConfig, EngineError, GuestCall, GuestError, HostCall, HostCalls, Interrupt, Limits, ModuleImage,
    Prepared,
};
use wattle_types::{BoxFuture, Deadline};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, but not forever.
pub(crate) async fn timely<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap()
}

/// Repeats `look` until it finds something.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    timely(async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Returns the seconds since 1970, as claims count them.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns a guest's bytes, as published or made now.
pub(crate) fn bytes_of(guest: Guest) -> Vec<u8> {
    let file = ThirdParty::here().bring(guest, &|step| eprintln!("{step}")).unwrap();
    std::fs::read(file).unwrap()
}

/// Returns a small engine.
pub(crate) fn engine() -> Engine {
    Engine::new(EngineConfig { pool_size: 16, ..EngineConfig::default() }).unwrap()
}

/// Prepares a guest in an engine of its own.
pub(crate) async fn prepare(guest: Guest) -> Result<Prepared, EngineError> {
    let wasm = bytes_of(guest);
    // No cache, so the hash names nothing.
    let image = ModuleImage { hash: [0; 32], wasm: &wasm };
    engine().prepare(image, Limits::default(), |_| ()).await
}

/// Calls a guest that needs nothing of the host.
pub(crate) async fn call(guest: &Prepared, operation: &str, payload: &[u8]) -> Result<Bytes, GuestError> {
    call_with(guest, operation, payload, Arc::new(Outside::default())).await
}

/// Calls a guest.
pub(crate) async fn call_with(
    guest: &Prepared,
    operation: &str,
    payload: &[u8],
    outside: Arc<Outside>,
) -> Result<Bytes, GuestError> {
    let call = GuestCall {
        operation,
        payload: Bytes::copy_from_slice(payload),
        deadline: Deadline::after(Instant::now(), Duration::from_secs(20)),
        interrupt: &Interrupt::default(),
    };
    guest.call(call, outside).await
}

/// What a guest asked of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) binding: String,
    pub(crate) namespace: String,
    pub(crate) operation: String,
    pub(crate) payload: Bytes,
}

/// A host side that gives every host call the same answer and remembers what came.
pub(crate) struct Outside {
    answer: fn(Bytes) -> Result<Bytes, String>,
    asked: Mutex<Vec<Asked>>,
    logged: Mutex<Vec<String>>,
}

impl Outside {
    pub(crate) fn answering(answer: fn(Bytes) -> Result<Bytes, String>) -> Arc<Self> {
        Arc::new(Self { answer, asked: Mutex::default(), logged: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        self.logged.lock().unwrap().clone()
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self { answer: |_| Err("nobody serves this".into()), asked: Mutex::default(), logged: Mutex::default() }
    }
}

impl HostCalls for Outside {
    fn call<'a>(&'a self, call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        self.asked.lock().unwrap().push(Asked {
            binding: call.binding.into(),
            namespace: call.namespace.into(),
            operation: call.operation.into(),
            payload: call.payload.clone(),
        });
        let answer = (self.answer)(call.payload);
        Box::pin(async move { answer })
    }

    fn log(&self, line: &str) {
        self.logged.lock().unwrap().push(line.into());
    }
}
