//! What every command is given, and the way from the command line to an exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use wattle_bus::{
    Bus, NatsAuth, NatsBus, NatsOptions, TlsIdentity,
    nats_server::{self, NatsServerError},
};
use wattle_types::{ActorId, BoxFuture, HostId, ProviderId};
use wattle_wascap::{KeyKind, KeyPair};

use crate::{
    HostRunner,
    args::{Cli, Connection},
    commands,
    control::{Client, known},
    error::CliError,
    keystore::{DEFAULT_NAME, Keystore},
    output::{Format, Output, Stream},
    run_dir::{Nats, RunDir},
    table::Layout,
};

/// Where NATS is when nobody says.
const DEFAULT_NATS_URL: &str = "nats://127.0.0.1:4222";

/// How long tasks may take to be dropped at the end: a blocking look-up of a name could take minutes.
const TASKS_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes a connection.
pub(crate) type Connect = Arc<dyn Fn(NatsOptions) -> BoxFuture<'static, Result<Arc<dyn Bus>, CliError>> + Send + Sync>;

/// Finds the nats-server program.
pub(crate) type FindNatsServer = fn() -> Result<PathBuf, NatsServerError>;

/// Waits until somebody presses Ctrl-C.
pub(crate) type Interrupt = Arc<dyn Fn() -> BoxFuture<'static, io::Result<()>> + Send + Sync>;

/// What the program finds around it. Tests bring their own.
pub(crate) struct Environment {
    pub(crate) results: Stream,
    pub(crate) remarks: Stream,
    pub(crate) colors: bool,
    /// The terminal's width, where results go to one.
    pub(crate) columns: Option<usize>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) state_home: Option<PathBuf>,
    pub(crate) cache_home: Option<PathBuf>,
    pub(crate) directory: PathBuf,
    pub(crate) now: u64,
    pub(crate) connect: Connect,
    pub(crate) find_nats_server: FindNatsServer,
    pub(crate) interrupt: Interrupt,
}

/// What every command is given.
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) connection: Connection,
    pub(crate) host: Arc<dyn HostRunner>,
    /// The command line, to run it again in the background.
    pub(crate) command_line: Vec<OsString>,
    /// The directory we are in.
    pub(crate) directory: PathBuf,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) cache_home: Option<PathBuf>,
    pub(crate) find_nats_server: FindNatsServer,
    pub(crate) interrupt: Interrupt,
    keys_dir: Option<PathBuf>,
    home: Option<PathBuf>,
    state_home: Option<PathBuf>,
    connect: Connect,
}

/// Runs the program: reads the command line, carries out the command, and returns the exit code.
///
/// `arguments` begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>, host: impl HostRunner) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let environment = match Environment::real() {
        Ok(environment) => environment,
        Err(error) => return report_early(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report_early(&CliError::internal(format!("cannot start threads: {error}"))),
    };
    let code = runtime.block_on(execute(arguments, environment, Arc::new(host)));
    // The processes of a host that was in a hurry end with the tasks that own them. Nothing else may hold up the end.
    runtime.shutdown_timeout(TASKS_TIMEOUT);
    ExitCode::from(code)
}

fn report_early(error: &CliError) -> ExitCode {
    use io::Write as _;
    let _unread = writeln!(io::stderr(), "error: {}", error.message);
    ExitCode::from(error.kind.exit_code())
}

/// Carries out one command line and returns the exit code.
pub(crate) async fn execute(arguments: Vec<OsString>, environment: Environment, host: Arc<dyn HostRunner>) -> u8 {
    let arguments = spelled_out(arguments);
    let cli = match Cli::parse_line(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments, environment),
    };
    let Environment {
        results,
        remarks,
        colors,
        columns,
        home,
        state_home,
        cache_home,
        directory,
        now,
        connect,
        find_nats_server,
        interrupt,
    } = environment;
    let context = Context {
        output: Output::new(cli.output, results, remarks, colors).laid_out(Layout { columns, full_ids: cli.full_ids }),
        connection: cli.connection,
        host,
        command_line: arguments,
        directory,
        now,
        cache_home,
        find_nats_server,
        interrupt,
        keys_dir: cli.keys_dir,
        home,
        state_home,
        connect,
    };
    match commands::run(&context, cli.command).await {
        Ok(()) => 0,
        Err(error) if error.is_broken_pipe() => 0,
        Err(error) => {
            context.output.error(&error);
            error.kind.exit_code()
        }
    }
}

/// Writes a word so that a shell reads it as one.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Spells `wattle help start actor` as `wattle start actor --help`.
fn spelled_out(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|first| first == "help") {
        arguments.remove(1);
        arguments.push("--help".into());
    }
    arguments
}

/// Help and version go to standard output with 0, all else to standard error with 2; or, for programs, as the one
/// document on standard output.
fn refuse(error: &clap::Error, arguments: &[OsString], environment: Environment) -> u8 {
    let Environment { mut results, mut remarks, colors, .. } = environment;
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    let text = error.render();
    if error.use_stderr() && wants_json(arguments) {
        let plain = text.to_string();
        let message = plain.lines().next().unwrap_or_default();
        let refusal = CliError::usage(message.strip_prefix("error: ").unwrap_or(message)).hint("see --help");
        Output::new(Format::Json, results, remarks, false).error(&refusal);
        return code;
    }
    let text = if colors { text.ansi().to_string() } else { text.to_string() };
    let stream = if error.use_stderr() { &mut remarks } else { &mut results };
    // Nobody reads it any more: fine for help, and the exit code tells the rest.
    let _unread = stream.write_all(text.as_bytes());
    code
}

/// Looks for `-o json` on a command line that cannot be read otherwise.
fn wants_json(arguments: &[OsString]) -> bool {
    let is_option = |text: &OsString| text == "-o" || text == "--output";
    let apart =
        arguments.iter().zip(arguments.iter().skip(1)).any(|(option, value)| is_option(option) && value == "json");
    apart || arguments.iter().any(|text| text == "-ojson" || text == "-o=json" || text == "--output=json")
}

/// Returns the directory we are in. It may have been deleted: then only what is in it is not found.
fn working_directory(found: io::Result<PathBuf>) -> PathBuf {
    found.unwrap_or_else(|_deleted| PathBuf::from("."))
}

impl Environment {
    fn real() -> Result<Self, CliError> {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            results: Box::new(io::stdout()),
            remarks: Box::new(io::stderr()),
            colors: io::stderr().is_terminal() && io::stdout().is_terminal() && path("NO_COLOR").is_none(),
            columns: io::stdout()
                .is_terminal()
                .then(terminal_size::terminal_size)
                .flatten()
                .map(|size| size.0.0.into()),
            home: path("HOME").or_else(|| path("USERPROFILE")),
            state_home: path("XDG_STATE_HOME"),
            cache_home: path("XDG_CACHE_HOME"),
            directory: working_directory(std::env::current_dir()),
            now: now.as_secs(),
            connect: Arc::new(|options| Box::pin(connect_nats(options))),
            find_nats_server: nats_server::find,
            interrupt: Arc::new(|| Box::pin(tokio::signal::ctrl_c())),
        })
    }
}

pub(crate) async fn connect_nats(options: NatsOptions) -> Result<Arc<dyn Bus>, CliError> {
    let bus = NatsBus::connect(options).await?;
    Ok(Arc::new(bus))
}

impl Context {
    /// Returns the keys directory.
    pub(crate) fn keys(&self) -> Result<Keystore, CliError> {
        let home = || self.home_dir().map(|home| home.join(".wattle").join("keys"));
        self.keys_dir.clone().map_or_else(home, Ok).map(Keystore::new)
    }

    /// Returns the run directory: the one given, or the lattice's own under the user's state directory.
    pub(crate) fn run_dir(&self) -> Result<RunDir, CliError> {
        if let Some(given) = &self.connection.run_dir {
            let path = self.directory.join(given);
            let down = format!("wattle down --run-dir {}", path.display());
            return Ok(RunDir::new(path, down));
        }
        Ok(RunDir::of_lattice(&self.state_dir()?, self.connection.lattice.as_str()))
    }

    /// Returns where the run directories of all lattices are.
    fn state_dir(&self) -> Result<PathBuf, CliError> {
        let state = || self.home_dir().map(|home| home.join(".local").join("state"));
        Ok(self.state_home.clone().map_or_else(state, Ok)?.join("wattle"))
    }

    /// Returns where compiled modules are kept by default.
    pub(crate) fn cache_dir(&self) -> Result<PathBuf, CliError> {
        let cache = || self.home_dir().map(|home| home.join(".cache"));
        Ok(self.cache_home.clone().map_or_else(cache, Ok)?.join("wattle"))
    }

    fn home_dir(&self) -> Result<PathBuf, CliError> {
        self.home.clone().ok_or_else(|| {
            CliError::usage("there is no home directory: HOME is not set").hint("give --keys-dir and --run-dir")
        })
    }

    /// Reads a file, relative to the directory we are in.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, CliError> {
        let path = self.directory.join(path);
        std::fs::read(&path).map_err(|error| CliError::file("read", &path, &error))
    }

    /// Connects to the lattice's hosts.
    pub(crate) async fn client(&self) -> Result<Client, CliError> {
        let bus = self.bus(&self.nats()).await?;
        let client = Client::new(bus, self.connection.lattice.clone(), self.connection.timeout());
        Ok(client.signed_by(self.signer()?))
    }

    /// Returns the key that signs requests: the one named, or the default account's, if there is one.
    pub(crate) fn signer(&self) -> Result<Option<KeyPair>, CliError> {
        match &self.connection.sign_with {
            Some(wanted) => Ok(Some(self.keys()?.find(wanted, None)?.pair)),
            None => Ok(self.keys()?.find(DEFAULT_NAME, Some(KeyKind::Account)).ok().map(|key| key.pair)),
        }
    }

    /// Connects to the lattice's hosts and chooses the one meant, or the first that answers: for what every host of
    /// the lattice can do.
    pub(crate) async fn client_and_any_host(&self) -> Result<(Client, HostId), CliError> {
        let client = self.client().await?;
        let host = client.any_host(self.connection.host.as_deref()).await?;
        Ok((client, host))
    }

    /// Connects to the lattice's hosts and chooses one: the one meant, or the only one.
    pub(crate) async fn client_and_host(&self) -> Result<(Client, HostId), CliError> {
        let client = self.client().await?;
        let host = client.host(self.connection.host.as_deref()).await?;
        Ok((client, host))
    }

    /// Returns the actor meant, by what runs on the host that was named, or in the lattice.
    pub(crate) async fn actor(&self, client: &Client, wanted: &str) -> Result<ActorId, CliError> {
        let host = match &self.connection.host {
            Some(host) => Some(client.host(Some(host)).await?),
            None => None,
        };
        client.actor(host.as_ref(), wanted).await
    }

    /// Returns the actor meant, whether it runs or not: what is linked or claimed in the lattice outlives it.
    pub(crate) async fn known_actor(&self, client: &Client, wanted: &str) -> Result<ActorId, CliError> {
        match self.actor(client, wanted).await {
            Err(error) if error.code == "actor_not_found" => {}
            found => return found,
        }
        let host = client.any_host(self.connection.host.as_deref()).await?;
        client.known(&host).await?.actor(wanted)
    }

    /// Returns the provider meant, whether it runs or not.
    pub(crate) async fn known_provider(&self, client: &Client, wanted: ProviderId) -> Result<ProviderId, CliError> {
        if !known::is_beginning(&wanted) {
            return Ok(wanted);
        }
        let host = client.any_host(self.connection.host.as_deref()).await?;
        client.known(&host).await?.provider(wanted)
    }

    /// Connects to NATS.
    pub(crate) async fn bus(&self, nats: &Nats) -> Result<Arc<dyn Bus>, CliError> {
        self.bus_of(nats, None).await
    }

    /// Connects to NATS, with the buckets of a JetStream domain.
    pub(crate) async fn bus_of(&self, nats: &Nats, js_domain: Option<String>) -> Result<Arc<dyn Bus>, CliError> {
        let auth = match (&nats.credentials, &self.connection.nats_nkey) {
            (Some(file), _) => NatsAuth::CredentialsFile(file.clone()),
            (None, Some(file)) => {
                let seed = String::from_utf8_lossy(&self.read(file)?).trim().to_owned();
                NatsAuth::NkeySeed(seed)
            }
            (None, None) => NatsAuth::None,
        };
        let tls_ca = self.connection.nats_tls_ca.as_ref().map(|file| self.directory.join(file));
        let Connection { nats_tls_cert, nats_tls_key, nats_inbox, .. } = &self.connection;
        let file = |file: &PathBuf| self.directory.join(file);
        let tls_identity = match (nats_tls_cert, nats_tls_key) {
            (Some(certificate), Some(key)) => Some(TlsIdentity { certificate: file(certificate), key: file(key) }),
            (None, None) => None,
            _ => {
                return Err(CliError::usage("a certificate is shown with its key").hint(
                    "give both or neither: --nats-tls-cert (WATTLE_NATS_TLS_CERT), --nats-tls-key (WATTLE_NATS_TLS_KEY)",
                ));
            }
        };
        let (urls, inbox_prefix) = (vec![nats.url.clone()], nats_inbox.clone());
        let name = "wattle".into();
        let connected =
            (self.connect)(NatsOptions { urls, auth, tls_ca, tls_identity, inbox_prefix, js_domain, name }).await;
        connected.map_err(|error| self.whose_nats(&nats.url, error))
    }

    /// Adds to a refusal of NATS's whose it is, where it is that of a host on this machine.
    fn whose_nats(&self, url: &str, error: CliError) -> CliError {
        if !error.message.contains("authorization violation") {
            return error;
        }
        let dirs = self.state_dir().map(|state| RunDir::all(&state, self.run_dir().ok())).unwrap_or_default();
        let hints: Vec<_> = dirs.iter().filter_map(|dir| dir.hint_for(url)).collect();
        CliError { hints: hints.into_iter().chain(error.hints).collect(), ..error }
    }

    /// Returns where NATS is and what it lets us in with: as given, as the host of this run directory left it, or its
    /// usual place on this machine.
    pub(crate) fn nats(&self) -> Nats {
        let Connection { nats_url, nats_creds, nats_nkey, .. } = &self.connection;
        let state = self.run_dir().and_then(|run_dir| run_dir.running()).ok().flatten();
        let found = state.filter(|state| nats_url.as_ref().is_none_or(|url| *url == state.nats_url));
        let given = || Nats { url: nats_url.clone().unwrap_or_else(|| DEFAULT_NATS_URL.into()), credentials: None };
        let nats = found.map_or_else(given, |state| state.nats());
        let credentials = match (nats_creds, nats_nkey) {
            (Some(file), _) => Some(self.directory.join(file)),
            (None, Some(_)) => None,
            (None, None) => nats.credentials,
        };
        Nats { credentials, ..nats }
    }

    /// Returns the command line as it can be typed again.
    pub(crate) fn typed(&self) -> String {
        let words = self.command_line.iter().skip(1).map(|word| quoted(&word.to_string_lossy()));
        std::iter::once("wattle".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Tells every step of a command.
    pub(crate) fn steps(&self) -> impl FnMut(&str, &str, u64) + '_ {
        |step, detail, elapsed_ms| self.output.step(step, detail, elapsed_ms)
    }
}
