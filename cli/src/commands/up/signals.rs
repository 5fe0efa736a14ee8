//! Ctrl-C, and what the system sends to end us.

use crate::error::CliError;

/// Requests to end. Those that come while nobody waits are kept from when this is made; it also keeps them from ending
/// us on the spot, with what we started left behind.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 3],
    #[cfg(windows)]
    stream: tokio::signal::windows::CtrlC,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, CliError> {
        Self::open().map_err(|error| CliError::internal(format!("signals cannot be received: {error}")))
    }

    #[cfg(unix)]
    fn open() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [interrupt, terminate, hangup] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self { streams: [signal(interrupt)?, signal(terminate)?, signal(hangup)?] })
    }

    #[cfg(windows)]
    fn open() -> std::io::Result<Self> {
        Ok(Self { stream: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for the next request.
    ///
    /// # Cancel safety
    /// Safe: none is lost.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.streams;
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    /// Waits for the next request.
    #[cfg(windows)]
    pub(super) async fn next(&mut self) {
        self.stream.recv().await;
    }

    /// Waits for what is being started, `None` if we shall end before: then it is dropped, and what it began with it.
    pub(super) async fn unless<T>(
        &mut self,
        starting: impl Future<Output = Result<T, CliError>>,
    ) -> Result<Option<T>, CliError> {
        tokio::select! {
            biased;
            () = self.next() => Ok(None),
            started = starting => started.map(Some),
        }
    }
}
