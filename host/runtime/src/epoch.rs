//! The clock that guests are interrupted by.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use wasmtime::EngineWeak;

use crate::EngineError;

/// Advances an engine's epoch at every tick, until it is dropped.
pub(crate) struct Ticker {
    stop: Option<mpsc::SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: EngineWeak, tick: Duration) -> Result<Self, EngineError> {
        let (stop, stopped) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("wattle-epoch".into())
            .spawn(move || {
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
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
