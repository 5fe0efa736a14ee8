//! Threads that compile without hurting calls that are being served.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::{Semaphore, oneshot};

use crate::{EngineError, priority};

/// A few threads of the lowest priority. At most one job per thread runs; others wait in their caller.
pub(crate) struct CompilePool {
    threads: rayon::ThreadPool,
    jobs: Arc<Semaphore>,
}

impl CompilePool {
    pub(crate) fn new(threads: usize) -> Result<Self, EngineError> {
        let threads = threads.max(1);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("wattle-compile-{index}"))
            .start_handler(|_| priority::lower(priority::LOWEST))
            .build()
            .map_err(|error| EngineError::Config(format!("no threads to compile on: {error}")))?;
        Ok(Self { threads: pool, jobs: Arc::new(Semaphore::new(threads)) })
    }

    /// Runs `job` on one of the threads. What it compiles in parallel stays on these threads too.
    ///
    /// If the caller goes away the job still runs to its end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let closed = |_| EngineError::Internal("the compile threads are gone".into());
        let turn = self.jobs.clone().acquire_owned().await.map_err(closed)?;
        let (done, answer) = oneshot::channel();
        self.threads.spawn(move || {
            // A panic would end the process. It would be a compiler bug that a module's bytes found: refuse the module.
            let result = catch_unwind(AssertUnwindSafe(job))
                .unwrap_or_else(|_| Err(EngineError::CompileFailed("the compiler panicked on this module".into())));
            // The turn ends with the job, not with a caller who went away before.
            drop(turn);
            let _ = done.send(result);
        });
        answer.await.map_err(|_| EngineError::Internal("a compile job vanished".into()))?
    }
}
