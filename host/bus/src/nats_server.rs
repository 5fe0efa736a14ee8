//! A nats-server of our own: found, configured, started, watched and ended.
//!
//! Owns the child process. The server listens on loopback only, lets in one user only, and has JetStream in a directory
//! of its own.

mod access;
mod process;
mod version;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use access::Access;
use process::{Process, Setup};
pub use version::{NatsVersion, version};

/// Environment variable that names the program when it is not on `PATH`.
pub const PROGRAM_VARIABLE: &str = "WATTLE_NATS_SERVER";

/// Longest pause before a server that died is started again.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A server that ran this long died of something new: the pause starts small again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsServerError {
    /// There is no such program.
    #[error("nats-server was not found: it is not on PATH and {PROGRAM_VARIABLE} does not name it")]
    NotFound,
    /// Somebody else listens there.
    #[error("port {port} is taken: something else listens on 127.0.0.1:{port}")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// It cannot write each change to the disk before it acknowledges it.
    #[error("nats-server {version} cannot make writes durable, which needs 2.10 or later")]
    TooOld {
        /// The version.
        version: NatsVersion,
    },
    /// Its directory or configuration cannot be written, or it cannot be run.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("nats-server did not come up: {message}")]
    NotReady {
        /// What it said last.
        message: String,
    },
}

impl NatsServerError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "nats_server_not_found",
            Self::PortTaken { .. } => "port_taken",
            Self::TooOld { .. } => "nats_too_old",
            Self::Io { .. } => "io",
            Self::NotReady { .. } => "nats_server_not_ready",
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotFound => format!(
                "install it (Debian, Ubuntu: apt install nats-server; macOS: brew install nats-server; elsewhere: \
                 https://github.com/nats-io/nats-server/releases), or set {PROGRAM_VARIABLE}=/path/to/nats-server"
            ),
            Self::PortTaken { port } => format!(
                "if that is a nats-server, join it with --nats-url nats://127.0.0.1:{port}; otherwise choose another \
                 port with --nats-port"
            ),
            Self::TooOld { .. } => format!(
                "install a current one (https://github.com/nats-io/nats-server/releases), or set \
                 {PROGRAM_VARIABLE}=/path/to/nats-server; or go without --durable-writes"
            ),
            Self::Io { .. } => "check that the directory exists, is yours and has room".into(),
            Self::NotReady { .. } => "see nats-server.log in its directory".into(),
        }
    }
}

/// How to run it.
#[derive(Debug, Clone)]
pub struct NatsServerOptions {
    /// The program; see [`find`].
    pub program: PathBuf,
    /// Where its configuration, keys, log and JetStream's files go. Made when missing; its user's alone.
    pub directory: PathBuf,
    /// Where it listens on loopback; any free port when `None`.
    pub port: Option<u16>,
    /// Whether each change is on the disk before it is acknowledged; within two minutes otherwise, which is faster.
    pub durable_writes: bool,
}

/// Finds the program: what `WATTLE_NATS_SERVER` names, otherwise the first `nats-server` on `PATH`.
///
/// # Errors
/// [`NatsServerError::NotFound`].
pub fn find() -> Result<PathBuf, NatsServerError> {
    find_in(std::env::var_os(PROGRAM_VARIABLE), std::env::var_os("PATH")).ok_or(NatsServerError::NotFound)
}

fn find_in(named: Option<OsString>, path: Option<OsString>) -> Option<PathBuf> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named)).filter(|program| program.is_file());
    }
    let program = Path::new("nats-server").with_extension(std::env::consts::EXE_EXTENSION);
    std::env::split_paths(&path?).map(|folder| folder.join(&program)).find(|candidate| candidate.is_file())
}

/// A running nats-server, started again with growing pauses when it dies.
///
/// Ended by [`NatsServer::stop`]; dropping it kills it.
#[derive(Debug)]
pub struct NatsServer {
    url: String,
    port: u16,
    credentials: Option<PathBuf>,
    provider_credentials: Option<PathBuf>,
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the supervisor knows.
#[derive(Debug, Clone, Copy, Default)]
struct Status {
    pid: Option<u32>,
    restarts: u64,
}

impl NatsServer {
    /// Starts a server that lets in who has its [`credentials`](Self::credentials), and waits until it answers.
    ///
    /// # Errors
    /// A [`NatsServerError`]; nothing is left running then.
    pub async fn start(options: NatsServerOptions) -> Result<Self, NatsServerError> {
        let access = Access::open(&options.directory).map_err(|source| NatsServerError::Io {
            what: format!("cannot write {}", options.directory.display()),
            source,
        })?;
        Self::start_with(Setup { options, access: Some(access) }).await
    }

    /// Starts a server that lets in everybody on this machine, for tests.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_open(options: NatsServerOptions) -> Result<Self, NatsServerError> {
        Self::start_with(Setup { options, access: None }).await
    }

    async fn start_with(setup: Setup) -> Result<Self, NatsServerError> {
        check_version(&setup.options).await?;
        let process = Process::start(&setup, setup.options.port).await?;
        let port = process.port();
        let credentials = setup.access.as_ref().map(|access| access.credentials().to_owned());
        let provider_credentials = setup.access.as_ref().map(|access| access.provider_credentials().to_owned());
        let (report, status) = watch::channel(Status { pid: process.pid(), restarts: 0 });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(supervise(process, setup, report, stop.clone()));
        tasks.close();
        let url = format!("nats://127.0.0.1:{port}");
        Ok(Self { url, port, credentials, provider_credentials, status, stop, tasks })
    }

    /// Returns `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the file that lets its bearer in (a `.creds` file of NATS's, readable by its owner only); `None` if
    /// everybody is let in.
    #[must_use]
    pub fn credentials(&self) -> Option<&Path> {
        self.credentials.as_deref()
    }

    /// Returns the same for a user who may only do what a provider's process has to: be called, and call actors.
    #[must_use]
    pub fn provider_credentials(&self) -> Option<&Path> {
        self.provider_credentials.as_deref()
    }

    /// Returns where it listens; the same after a restart.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns its process id, `None` while it is down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.status.borrow().pid
    }

    /// Returns how often it died and was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.status.borrow().restarts
    }

    /// Waits until it was started again at least `restarts` times.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn restarted(&self, restarts: u64) {
        // An error means that the supervisor has ended: nothing more will be restarted.
        let mut status = self.status.clone();
        let _ended = status.wait_for(|status| status.restarts >= restarts && status.pid.is_some()).await;
    }

    /// Ends it: asked first, forced after a few seconds.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A server that does not know the setting would end without a word that is kept.
async fn check_version(options: &NatsServerOptions) -> Result<(), NatsServerError> {
    if !options.durable_writes {
        return Ok(());
    }
    match version(&options.program).await {
        Some(version) if !version.has_durable_writes() => Err(NatsServerError::TooOld { version }),
        _ => Ok(()),
    }
}

async fn supervise(mut process: Process, setup: Setup, report: watch::Sender<Status>, stop: CancellationToken) {
    let port = process.port();
    let mut pause = Duration::ZERO;
    loop {
        let started = tokio::time::Instant::now();
        let exit = tokio::select! {
            biased;
            () = stop.cancelled() => return process.stop().await,
            exit = process.exited() => exit,
        };
        report.send_modify(|status| status.pid = None);
        pause = if started.elapsed() > HEALTHY_AFTER { Duration::ZERO } else { pause };
        tracing::warn!(%exit, "nats-server ended by itself");
        process = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            process = restart(&setup, port, &mut pause) => process,
        };
        report.send_modify(|status| *status = Status { pid: process.pid(), restarts: status.restarts + 1 });
    }
}

/// Tries until it is up: without it the lattice is down, so there is no giving up, only longer pauses.
async fn restart(setup: &Setup, port: u16, pause: &mut Duration) -> Process {
    loop {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).clamp(Duration::from_millis(100), RESTART_PAUSE_MAX);
        match Process::start(setup, Some(port)).await {
            Ok(process) => return process,
            Err(error) => tracing::warn!(%error, pause = ?*pause, "nats-server could not be started again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let [on_path, named] = ["nats-server", "mine"].map(|name| folder.path().join(name));
        std::fs::write(&on_path, "").unwrap();
        std::fs::write(&named, "").unwrap();
        let path = Some(folder.path().as_os_str().to_owned());
        assert_eq!(find_in(Some(named.clone().into()), path.clone()), Some(named));
        assert_eq!(find_in(Some("".into()), path.clone()), Some(on_path));
        assert_eq!(find_in(Some("/nowhere/nats-server".into()), path), None);
        assert_eq!(find_in(None, None), None);
    }
}
