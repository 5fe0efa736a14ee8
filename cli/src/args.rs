//! The command line: its nouns and verbs.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind, parser::ValueSource};
use wattle_types::LatticeId;

use crate::{commands, output::Format};

const EXIT_CODES: &str = "\
Exit codes, by who must act:
  0  done
  1  wattle's makers: a fault of ours
  2  you: the command line or its input is wrong
  3  an operator: not found, already there, or not allowed
  4  whoever runs NATS and hosts: not reachable, or too slow; trying again may help
  5  the actor's or provider's author: it failed at its work

First steps:
  wattle doctor                                     see what this machine lacks
  wattle up --detached                              start a host, and NATS for it
  wattle claims sign hello.wasm --name Hello --cap wasmcloud:httpserver
  wattle start actor hello_s.wasm
  wattle start provider httpserver
  wattle link put Hello httpserver wasmcloud:httpserver address=127.0.0.1:8081
  curl http://127.0.0.1:8081/
";

/// Runs signed WebAssembly actors and links them, live, to what they need.
#[derive(Debug, Parser)]
#[command(
    name = "wattle",
    bin_name = "wattle",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = EXIT_CODES
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How results are written: text or json.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "text",
        hide_possible_values = true,
        value_name = "FORMAT",
        help_heading = "Global options"
    )]
    pub(crate) output: Format,

    /// Where keys are kept [default: ~/.wattle/keys].
    #[arg(
        long,
        global = true,
        env = "WATTLE_KEYS_DIR",
        hide_env_values = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) keys_dir: Option<PathBuf>,

    /// Show ids whole in tables, not only as much of them as is needed to name them.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) full_ids: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl Cli {
    /// Reads a command line. Where it says who we are to NATS, what the environment says of that does not count.
    ///
    /// # Errors
    /// As clap tells it, also when both ways are said in one place.
    pub(crate) fn parse_line(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let is_typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let Connection { nats_creds, nats_nkey, .. } = &mut cli.connection;
        if nats_creds.is_some() && nats_nkey.is_some() {
            match (is_typed("nats_creds"), is_typed("nats_nkey")) {
                (true, false) => *nats_nkey = None,
                (false, true) => *nats_creds = None,
                _ => {
                    let text =
                        "--nats-creds (WATTLE_NATS_CREDS) and --nats-nkey (WATTLE_NATS_NKEY) both say who we are";
                    return Err(command.error(ErrorKind::ArgumentConflict, text));
                }
            }
        }
        Ok(cli)
    }
}

#[cfg(test)]
impl Cli {
    /// Returns what stands below all commands.
    pub(crate) fn help() -> String {
        EXIT_CODES.to_owned()
    }
}

/// How long a host may be silent while it works, when nobody says.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Which hosts, and how to reach them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Connection {
    /// Where NATS is [default: that of `wattle up` on this machine].
    #[arg(long, global = true, env = "WATTLE_NATS_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = nats_url)]
    pub(crate) nats_url: Option<String>,

    /// Where `wattle up` keeps state, log and NATS's files [default: ~/.local/state/wattle/LATTICE].
    #[arg(long, global = true, env = "WATTLE_RUN_DIR", hide_env_values = true, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,

    /// A NATS credentials file (.creds).
    #[arg(long, global = true, env = "WATTLE_NATS_CREDS", hide_env_values = true, value_name = "FILE")]
    pub(crate) nats_creds: Option<PathBuf>,

    /// A file with the seed of a NATS user (SU...).
    #[arg(long, global = true, env = "WATTLE_NATS_NKEY", hide_env_values = true, value_name = "FILE")]
    pub(crate) nats_nkey: Option<PathBuf>,

    /// Certificates to trust for TLS to NATS (PEM).
    #[arg(long, global = true, env = "WATTLE_NATS_TLS_CA", hide_env_values = true, value_name = "FILE")]
    pub(crate) nats_tls_ca: Option<PathBuf>,

    /// Our certificate, for a NATS that asks for one (PEM).
    #[arg(long, global = true, env = "WATTLE_NATS_TLS_CERT", hide_env_values = true, value_name = "FILE")]
    pub(crate) nats_tls_cert: Option<PathBuf>,

    /// The key of that certificate (PEM).
    #[arg(long, global = true, env = "WATTLE_NATS_TLS_KEY", hide_env_values = true, value_name = "FILE")]
    pub(crate) nats_tls_key: Option<PathBuf>,

    /// The key that signs requests: a name or file [default: the default account's, if there is one].
    #[arg(long, global = true, env = "WATTLE_SIGN_WITH", hide_env_values = true, value_name = "KEY")]
    pub(crate) sign_with: Option<String>,

    /// What our inboxes begin with, where NATS's permissions ask for it [default: _INBOX.wattle.all].
    #[arg(long, global = true, env = "WATTLE_NATS_INBOX", hide_env_values = true, value_name = "PREFIX")]
    pub(crate) nats_inbox: Option<String>,

    /// The lattice.
    #[arg(
        long,
        global = true,
        env = "WATTLE_LATTICE",
        hide_env_values = true,
        default_value = "default",
        value_name = "NAME"
    )]
    pub(crate) lattice: LatticeId,

    /// The host: its id, a unique beginning of it, or its name [default: the only one, or any where all can].
    #[arg(long, global = true, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// How long a host may be silent while it works, in seconds [default: 60].
    #[arg(long, global = true, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) timeout: Option<u64>,
}

impl Connection {
    /// Returns how long a host may be silent while it works.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.map_or(SILENCE_MAX, Duration::from_secs)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(Box<commands::up::UpArgs>),
    Down(commands::down::DownArgs),
    #[command(subcommand)]
    Keys(commands::keys::Keys),
    #[command(subcommand)]
    Claims(commands::claims::Claims),
    #[command(subcommand)]
    Par(commands::par::Par),
    #[command(subcommand)]
    Start(commands::start::Start),
    #[command(subcommand)]
    Update(commands::update::Update),
    #[command(subcommand)]
    Rollout(commands::rollout::Rollout),
    Rollback(commands::rollout::BackArgs),
    #[command(subcommand)]
    Scale(commands::scale::Scale),
    #[command(subcommand)]
    Stop(commands::stop::Stop),
    #[command(subcommand)]
    Drain(commands::drain::Drain),
    #[command(subcommand)]
    Link(commands::link::Link),
    #[command(subcommand)]
    Config(commands::config::Config),
    #[command(subcommand)]
    Label(commands::label::Label),
    #[command(subcommand)]
    Get(commands::get::Get),
    Ps(commands::get::InventoryArgs),
    Inspect(commands::claims::InspectArgs),
    Logs(commands::logs::LogsArgs),
    Call(commands::call::CallArgs),
    Spy(commands::spy::SpyArgs),
    Top(commands::top::TopArgs),
    Doctor(commands::doctor::DoctorArgs),
    Explain(commands::explain::ExplainArgs),
    Completions(commands::completions::CompletionsArgs),
}

/// Checks where NATS is: `[SCHEME://]HOST[:PORT]`, several parted by commas.
fn nats_url(text: &str) -> Result<String, String> {
    for url in text.split(',') {
        let (scheme, host) = url.split_once("://").unwrap_or(("nats", url));
        if !["nats", "tls", "ws", "wss"].contains(&scheme) {
            return Err("it should begin with nats:// or tls://".into());
        }
        if host.contains('@') {
            return Err("who you are does not belong into it: give --nats-creds or --nats-nkey".into());
        }
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err("there is no host in it".into());
        }
    }
    Ok(text.to_owned())
}
