//! The clock that guests are interrupted by, and that idle sandboxes are dropped by.

use std::{
    sync::{
        Weak,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use wasmtime::EngineWeak;

use crate::{EngineError, warm::Warm};

/// How often idle sandboxes are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// Advances an engine's epoch at every tick, and now and then sweeps its idle sandboxes, until it is dropped.
pub(crate) struct Ticker {
    stop: Option<mpsc::SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: EngineWeak, warm: Weak<Warm>, tick: Duration) -> Result<Self, EngineError> {
        let (stop, stopped) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("wattle-epoch".into())
            .spawn(move || {
                let mut swept = Instant::now();
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                    let now = Instant::now();
                    if now.saturating_duration_since(swept) >= SWEEP {
                        swept = now;
                        let Some(warm) = warm.upgrade() else { return };
                        warm.sweep(now);
                    }
                }
            })
            .map_err(|error| EngineError::Config(format!("no thread for the epoch clock: {error}")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread wakes at once when the channel closes. It panics nowhere; if it did, there is nobody to tell.
            let _ = thread.join();
        }
    }
}
