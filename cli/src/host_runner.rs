//! How `wattle up` runs a host without knowing one.

use std::{collections::BTreeMap, io::Write, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wattle_bus::Bus;
use wattle_types::{BoxFuture, HostId, LatticeId};
use wattle_wascap::{KeyPair, PublicKey, TrustPolicy};

/// Settings of a host, as the command line gives them. What is `None` is the host's own default.
#[derive(Debug, Default)]
pub struct HostOptions {
    /// The mesh it belongs to.
    pub lattice: LatticeId,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// What the host says of itself.
    pub labels: BTreeMap<String, String>,
    /// Its identity (an `N...` key); a new one when absent.
    pub identity: Option<KeyPair>,
    /// The key by which the hosts of a lattice know each other (a `C...` key); a new one when absent.
    pub cluster: Option<KeyPair>,
    /// Other such keys that are trusted.
    pub cluster_issuers: Vec<PublicKey>,
    /// Whether requests that change something must be signed.
    pub require_signed: bool,
    /// Whose signed requests are carried out.
    pub controllers: Vec<PublicKey>,
    /// Whose modules and providers it accepts.
    pub trust: TrustPolicy,
    /// How processes of the host's reach NATS: where it is, and the user they are.
    pub nats: NatsAccess,
    /// Where compiled modules and unpacked providers are kept.
    pub cache_dir: PathBuf,
    /// How long a call may take when its caller does not say.
    pub call_timeout: Option<Duration>,
    /// How long calls in flight may take to end.
    pub drain_timeout: Option<Duration>,
    /// How many calls of one actor may run at once.
    pub max_in_flight: Option<usize>,
    /// How many calls of all actors may run at once: each has a sandbox of its own.
    pub sandboxes: Option<u32>,
    /// Longest pause between two notices to other hosts of what runs here.
    pub beat_interval: Option<Duration>,
    /// What is logged, and how.
    pub log: LogOptions,
}

/// How to reach NATS.
#[derive(Default)]
pub struct NatsAccess {
    /// `nats://host:port`.
    pub url: String,
    /// The user's JWT, or empty.
    pub user_jwt: String,
    /// The user's seed, or empty.
    pub user_seed: String,
}

impl NatsAccess {
    /// Reads the user out of a NATS credentials file's text. What is not there stays empty.
    pub(crate) fn with_credentials(url: String, credentials: &str) -> Self {
        let block = |kind: &str| {
            let (_, rest) = credentials.split_once(&format!("-----BEGIN {kind}-----"))?;
            Some(rest.split_once("------END")?.0.trim_matches(['-', '\r', '\n', ' ']).to_owned())
        };
        let user_jwt = block("NATS USER JWT").unwrap_or_default();
        Self { url, user_jwt, user_seed: block("USER NKEY SEED").unwrap_or_default() }
    }
}

impl std::fmt::Debug for NatsAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What is logged, and how. Logs go to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// A level (`info`), or levels by module (`info,wattle_host=debug`).
    pub filter: String,
    /// For people or for programs.
    pub format: LogFormat,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A host that takes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its identity.
    pub id: HostId,
    /// Its name for people.
    pub friendly_name: String,
}

/// What runner and command tell each other.
#[derive(Debug)]
pub struct HostSignals {
    /// To be sent once the host answers on the control interface.
    pub ready: oneshot::Sender<Ready>,
    /// Cancelled when the host shall drain and end.
    pub stop: CancellationToken,
}

/// Why a host did not start, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// Stable name of the error.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Runs hosts.
pub trait HostRunner: Send + Sync + 'static {
    /// Checks a log filter before anything is started.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_log_filter(&self, filter: &str) -> Result<(), String>;

    /// Sets up logging for this process. Called at most once, before `run`.
    ///
    /// From then on standard error is the log's. Returns the way to it that never waits, if there is one.
    fn init_logging(&self, options: &LogOptions) -> Option<Box<dyn Write + Send>>;

    /// Returns whether a host on this machine restores the sandboxes of calls, which is faster than making new ones.
    fn restores_sandboxes(&self) -> bool;

    /// Runs a host on `bus` from start to end: until `signals.stop` is cancelled or somebody stops it over the control
    /// interface; drained when this returns. The bus is drained by the caller.
    ///
    /// # Errors
    /// Why it did not start, or ended by itself.
    fn run(
        &self,
        options: HostOptions,
        bus: Arc<dyn Bus>,
        signals: HostSignals,
    ) -> BoxFuture<'_, Result<(), HostError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_from_a_credentials_file_and_never_shown() {
        let file = "-----BEGIN NATS USER JWT-----\neyJ0.x.y\n------END NATS USER JWT------\n\n\
                    -----BEGIN USER NKEY SEED-----\nSUA\n------END USER NKEY SEED------\n";
        let access = NatsAccess::with_credentials("nats://x".into(), file);
        assert_eq!((access.user_jwt.as_str(), access.user_seed.as_str()), ("eyJ0.x.y", "SUA"));
        assert!(!format!("{access:?}").contains("SUA"));
        assert_eq!(NatsAccess::with_credentials(String::new(), "nothing").user_jwt, "");
    }
}
