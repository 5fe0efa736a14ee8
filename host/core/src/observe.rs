//! Watching invocations: costs one atomic read while nobody does.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::broadcast;
use wattle_types::{ContractId, InvokeError, control::ObservedInvocation};

/// How many observations a slow watcher may lag behind before it misses some.
const LAG_MAX: usize = 4096;

/// Tells watchers what is invoked.
#[derive(Debug)]
pub(crate) struct Observer {
    watchers: AtomicUsize,
    seen: broadcast::Sender<ObservedInvocation>,
}

/// An invocation somebody watches, begun.
pub(crate) struct Watch {
    begun: Instant,
    request_len: usize,
}

/// Who called whom, for what.
pub(crate) struct Observed<'a> {
    pub(crate) origin: &'a str,
    pub(crate) target: &'a str,
    pub(crate) contract: Option<&'a ContractId>,
    pub(crate) operation: &'a str,
}

/// A watcher's place. Dropping it ends the watch.
pub(crate) struct Watcher<'a> {
    observer: &'a Observer,
    pub(crate) seen: broadcast::Receiver<ObservedInvocation>,
}

impl Default for Observer {
    fn default() -> Self {
        Self { watchers: AtomicUsize::new(0), seen: broadcast::Sender::new(LAG_MAX) }
    }
}

impl Observer {
    /// Starts watching.
    pub(crate) fn watch(&self) -> Watcher<'_> {
        let seen = self.seen.subscribe();
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Watcher { observer: self, seen }
    }

    /// Begins an observation, if anybody watches.
    pub(crate) fn start(&self, request_len: usize) -> Option<Watch> {
        (self.watchers.load(Ordering::Relaxed) > 0).then(|| Watch { begun: crate::dispatch::now(), request_len })
    }

    /// Ends an observation and tells the watchers.
    pub(crate) fn finish(&self, watch: Watch, seen: Observed<'_>, result: Result<&Bytes, &InvokeError>) {
        let elapsed = crate::dispatch::now().saturating_duration_since(watch.begun);
        let observed = ObservedInvocation {
            origin: seen.origin.to_owned(),
            target: seen.target.to_owned(),
            contract: seen.contract.map(ToString::to_string),
            operation: seen.operation.to_owned(),
            request_len: watch.request_len,
            response_len: result.map_or(0, Bytes::len),
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            error: result.err().map(|error| error.code().to_owned()),
        };
        // Fails only when the last watcher has just left.
        let _ = self.seen.send(observed);
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.observer.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}
