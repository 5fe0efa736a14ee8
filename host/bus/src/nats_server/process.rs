//! One run of the server: from configuration to exit.

use std::{io, net::Ipv4Addr, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use super::{
    NatsServerError, NatsServerOptions,
    access::{Access, write_private},
};
use crate::bus::MESSAGE_LEN_MAX;

/// How long it may take to answer. JetStream reads its store first.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two looks whether it answers.
const READY_POLL: Duration = Duration::from_millis(20);

/// How long it may take to end when asked, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts to find a port nobody else takes between our look and the server's start.
const PORT_ATTEMPTS: usize = 5;

/// Bytes after which the log file is rotated.
const LOG_LEN_MAX: u64 = 8 * 1024 * 1024;

/// Where it runs, and who may use it.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) options: NatsServerOptions,
    /// Everybody on this machine when `None`.
    pub(super) access: Option<Access>,
}

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    port: u16,
}

impl Process {
    /// Starts it and waits until it, and no other server, answers on the port.
    pub(super) async fn start(setup: &Setup, port: Option<u16>) -> Result<Self, NatsServerError> {
        if let Some(port) = port {
            return Self::start_at(setup, free_port(port).await?).await;
        }
        let mut result = Err(NatsServerError::NotReady { message: "no free port".into() });
        for _ in 0..PORT_ATTEMPTS {
            result = Self::start_at(setup, free_port(0).await?).await;
            if !matches!(&result, Err(NatsServerError::NotReady { message }) if message.contains("in use")) {
                break;
            }
        }
        result
    }

    async fn start_at(setup: &Setup, port: u16) -> Result<Self, NatsServerError> {
        let options = &setup.options;
        let name = format!("wattle-{}-{port}", std::process::id());
        let config = write_config(setup, &name, port).await?;
        let mut command = Command::new(&options.program);
        command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true);
        // A Ctrl-C in our terminal is for us: we end the server last.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(io_error(format!("cannot run {}", options.program.display())))?;
        let mut process = Self { child, port };
        let ready = tokio::time::timeout(READY_TIMEOUT, process.ready(&name)).await;
        match ready {
            Ok(Ok(())) => Ok(process),
            Ok(Err(exit)) => Err(NatsServerError::NotReady { message: last_words(&options.directory, &exit).await }),
            Err(_) => Err(NatsServerError::NotReady { message: format!("no answer within {READY_TIMEOUT:?}") }),
        }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends by itself and says how.
    pub(super) async fn exited(&mut self) -> String {
        self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    pub(super) async fn stop(mut self) {
        self.terminate();
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            tracing::warn!("nats-server did not end in time and is killed");
            if let Err(error) = self.child.kill().await {
                tracing::warn!(%error, "nats-server could not be killed");
            }
        }
    }

    #[cfg(unix)]
    fn terminate(&self) {
        let pid = self.pid().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        if let Some(Err(error)) = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM)) {
            tracing::debug!(%error, "nats-server has already ended");
        }
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {
        let _gone = self.child.start_kill();
    }

    /// Waits for a greeting with our name, or for the exit.
    async fn ready(&mut self, name: &str) -> Result<(), String> {
        loop {
            tokio::select! {
                exit = self.child.wait() => {
                    return Err(exit.map_or_else(|error| error.to_string(), |status| status.to_string()));
                }
                greeting = greeting(self.port) => {
                    if greeting.is_ok_and(|line| line.contains(name)) {
                        return Ok(());
                    }
                }
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
}

/// Returns the first line a NATS server sends: `INFO {json}`.
async fn greeting(port: u16) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?).read_line(&mut line).await?;
    Ok(line)
}

/// Returns `port` if nobody listens there, or any free one for 0.
async fn free_port(port: u16) -> Result<u16, NatsServerError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    match listener.and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(NatsServerError::PortTaken { port }),
        Err(error) => Err(io_error(format!("cannot listen on 127.0.0.1:{port}"))(error)),
    }
}

async fn write_config(setup: &Setup, name: &str, port: u16) -> Result<std::path::PathBuf, NatsServerError> {
    let directory = &setup.options.directory;
    let store = directory.join("jetstream");
    tokio::fs::create_dir_all(&store).await.map_err(io_error(format!("cannot make {}", store.display())))?;
    let access = setup.access.as_ref().map(Access::config).unwrap_or_default();
    let config = config(&setup.options, name, port, &store) + &access;
    let path = directory.join("nats-server.conf");
    write_private(&path, config.as_bytes()).map_err(io_error(format!("cannot write {}", path.display())))?;
    Ok(path)
}

fn config(options: &NatsServerOptions, name: &str, port: u16, store: &Path) -> String {
    format!(
        "# Written by wattle at every start.\n\
         listen: \"127.0.0.1:{port}\"\n\
         server_name: {name}\n\
         max_payload: {MESSAGE_LEN_MAX}\n\
         jetstream {{ store_dir: {}{} }}\n\
         log_file: {}\n\
         logfile_size_limit: {LOG_LEN_MAX}\n",
        quoted(store),
        if options.durable_writes { ", sync_interval: always" } else { "" },
        quoted(&options.directory.join("nats-server.log")),
    )
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

/// Returns the last error in its log, or how it exited.
async fn last_words(directory: &Path, exit: &str) -> String {
    let log = tokio::fs::read_to_string(directory.join("nats-server.log")).await.unwrap_or_default();
    let fatal = log.lines().rev().take(20).find(|line| line.contains("[FTL]") || line.contains("[ERR]"));
    fatal.map_or_else(|| exit.to_owned(), |line| line.trim().to_owned())
}

fn io_error(what: String) -> impl FnOnce(io::Error) -> NatsServerError {
    move |source| NatsServerError::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_durable_writes_are_synced_before_they_are_acknowledged() {
        let jetstream = |durable_writes| {
            let options =
                NatsServerOptions { program: "nats-server".into(), directory: "/n".into(), port: None, durable_writes };
            let config = config(&options, "wattle-1", 4222, Path::new("/n/jetstream"));
            config.lines().find(|line| line.starts_with("jetstream")).map(ToOwned::to_owned)
        };
        let expected = r#"jetstream { store_dir: "/n/jetstream", sync_interval: always }"#;
        assert_eq!(jetstream(true).as_deref(), Some(expected));
        assert_eq!(jetstream(false).as_deref(), Some(r#"jetstream { store_dir: "/n/jetstream" }"#));
    }
}
