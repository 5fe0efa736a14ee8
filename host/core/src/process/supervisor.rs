//! Keeping a provider's process alive, until it is told to end.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use wattle_types::ProviderError;

use super::{binary::Binary, channel::Channel, child::Child, provider::Shared};

/// How long a new process may take to answer its first health check.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two looks whether a new process answers.
const READY_POLL: Duration = Duration::from_millis(20);
/// How long it may take to end once it was told to.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// Shortest and longest pause before a process that ended is started again.
const RESTART_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// A process that ran this long ended of something new: the pause starts small again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Whether the process can be called.
#[derive(Debug, Clone)]
pub(super) enum Status {
    Up,
    /// And why not.
    Down(String),
}

/// How to start the process.
pub(super) struct Launch {
    pub(super) binary: Binary,
    /// Its line of input.
    pub(super) input: String,
    /// What its output is logged under.
    pub(super) name: String,
}

impl Launch {
    /// Starts it and waits until it answers. Nothing is left running when it does not.
    pub(super) async fn start(&self, channel: &Channel) -> Result<Child, ProviderError> {
        let failed = |error: std::io::Error| ProviderError::ProcessExited(format!("it cannot be started: {error}"));
        let program = self.binary.verified().await.map_err(failed)?;
        let mut child = Child::start(program, &self.input, &self.name).await.map_err(failed)?;
        let ready = tokio::select! {
            biased;
            exit = child.exited() => return Err(ProviderError::ProcessExited(exit)),
            ready = tokio::time::timeout(READY_TIMEOUT, answers(channel)) => ready,
        };
        if ready.is_err() {
            child.end(Duration::ZERO).await;
            let waited = format!("no health check was answered within {READY_TIMEOUT:?}");
            return Err(ProviderError::ProcessNotReady(waited));
        }
        Ok(child)
    }
}

/// Waits until there is an answer, whatever it says.
async fn answers(channel: &Channel) {
    while !matches!(channel.health().await, Ok(()) | Err(ProviderError::Failed(_))) {
        tokio::time::sleep(READY_POLL).await;
    }
}

/// Starts the process again whenever it ends, until `stop`; then ends it.
pub(super) async fn supervise(mut child: Child, launch: Launch, shared: Arc<Shared>, stop: CancellationToken) {
    let mut pause = RESTART_PAUSE.0;
    loop {
        let started = tokio::time::Instant::now();
        let exit = tokio::select! {
            biased;
            () = stop.cancelled() => return end(child, &launch, &shared).await,
            exit = child.exited() => exit,
        };
        if started.elapsed() > HEALTHY_AFTER {
            pause = RESTART_PAUSE.0;
        }
        down(&launch, &shared, format!("the provider's process ended ({exit}) and is being started again"));
        let restarted = stop.run_until_cancelled(restart(&launch, &shared, &mut pause)).await;
        match restarted {
            Some(again) => child = again,
            None => return shared.close_doors().await,
        }
    }
}

fn down(launch: &Launch, shared: &Shared, reason: String) {
    tracing::warn!(provider = launch.name, reason, "a provider is down");
    shared.status.send_replace(Status::Down(reason));
}

/// Tries until it is up and knows its links: there is no giving up, only longer pauses.
async fn restart(launch: &Launch, shared: &Shared, pause: &mut Duration) -> Child {
    loop {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(RESTART_PAUSE.1);
        let started = match launch.start(&shared.channel).await {
            Ok(child) => shared.replay_links().await.map(|()| child),
            Err(error) => Err(error),
        };
        match started {
            Ok(child) => {
                tracing::info!(provider = launch.name, "a provider's process was started again");
                return child;
            }
            Err(error) => down(launch, shared, format!("{error}; it is tried again in {pause:?}")),
        }
    }
}

async fn end(mut child: Child, launch: &Launch, shared: &Shared) {
    shared.status.send_replace(Status::Down("the provider was stopped".into()));
    tokio::select! {
        biased;
        _ = child.exited() => {}
        () = shared.channel.shutdown() => {}
    }
    if child.end(END_TIMEOUT).await {
        tracing::warn!(provider = launch.name, "a provider's process did not end in time and was killed");
    }
    shared.close_doors().await;
}
