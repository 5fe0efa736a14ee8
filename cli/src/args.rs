//! The command line: its nouns and verbs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
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
  wattle link put Hello httpserver wasmcloud:httpserver address=127.0.0.1:8080
  curl http://127.0.0.1:8080/
";

/// Runs signed WebAssembly actors and links them, live, to what they need.
#[derive(Debug, Parser)]
#[command(
    name = "wattle",
    bin_name = "wattle",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_long_help = EXIT_CODES,
    after_help = "Exit codes and first steps: wattle --help"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How results are written.
    #[arg(short, long, global = true, value_enum, default_value = "text", help_heading = "Global options")]
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

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which hosts, and how to reach them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Connection {
    /// Where NATS is [default: that of `wattle up` on this machine].
    #[arg(long, global = true, env = "WATTLE_NATS_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) nats_url: Option<String>,

    /// A NATS credentials file (.creds).
    #[arg(
        long,
        global = true,
        env = "WATTLE_NATS_CREDS",
        hide_env_values = true,
        hide_short_help = true,
        value_name = "FILE"
    )]
    pub(crate) nats_creds: Option<PathBuf>,

    /// A file with the seed of a NATS user (SU...).
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE", conflicts_with = "nats_creds")]
    pub(crate) nats_nkey: Option<PathBuf>,

    /// Certificates to trust for TLS to NATS (PEM).
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) nats_tls_ca: Option<PathBuf>,

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

    /// The host: its id, a unique beginning of it, or its name [default: the only one].
    #[arg(long, global = true, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// How long a host may be silent while it works, in seconds.
    #[arg(long, global = true, hide_short_help = true, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) timeout: u64,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a host on this machine, and NATS for it.
    Up(Box<commands::up::UpArgs>),
    /// Stop the host that `up` started.
    Down(commands::down::DownArgs),
    /// Make and show keys.
    #[command(subcommand)]
    Keys(commands::keys::Keys),
    /// Sign modules, make tokens, look at claims.
    #[command(subcommand)]
    Claims(commands::claims::Claims),
    /// Start an actor or a provider.
    #[command(subcommand)]
    Start(commands::start::Start),
    /// Replace a running actor or provider, live.
    #[command(subcommand)]
    Update(commands::update::Update),
    /// Stop an actor, a provider or a host.
    #[command(subcommand)]
    Stop(commands::stop::Stop),
    /// Link actors to providers.
    #[command(subcommand)]
    Link(commands::link::Link),
    /// Show hosts, what they run, links and claims.
    #[command(subcommand)]
    Get(commands::get::Get),
    /// Call an actor.
    Call(commands::call::CallArgs),
    /// Watch events and invocations as they happen.
    Spy(commands::spy::SpyArgs),
    /// See what this machine lacks, and how to get it.
    Doctor(commands::doctor::DoctorArgs),
    /// Write completions for a shell.
    Completions(commands::completions::CompletionsArgs),
}
