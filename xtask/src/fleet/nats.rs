//! A nats-server that can be taken away and brought back: same port, same files.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{Process, Wire, free_port};

/// How long a server may take to answer.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// A nats-server on loopback, with JetStream unless told otherwise.
#[derive(Debug)]
pub(crate) struct Nats {
    program: PathBuf,
    folder: PathBuf,
    name: String,
    pub(crate) port: u16,
    /// Further arguments.
    words: Vec<String>,
    keeps: bool,
    process: Option<Process>,
}

impl Nats {
    /// Describes a server that is not started yet; its files go to `folder/NAME`.
    pub(crate) fn new(program: &Path, folder: &Path, name: &str, words: Vec<String>) -> Result<Self> {
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Ok(Self { program, folder, name: name.to_owned(), port: free_port()?, words, keeps: true, process: None })
    }

    /// The same without a JetStream.
    pub(crate) fn keeping_nothing(self) -> Self {
        Self { keeps: false, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready()
    }

    /// Starts it, whether or not it can answer alone.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-n", &self.name]);
        command.args(&self.words);
        if self.keeps {
            command.args(["-js", "-sd"]).arg(self.folder.join(&self.name));
        }
        self.process = Some(Process::start(&mut command, &self.folder, &self.name)?);
        Ok(())
    }

    /// Waits until it answers.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = Wire::connect(self.port) {
            if begun.elapsed() > READY_TIMEOUT || self.process_mut()?.ended()?.is_some() {
                return Err(error.context(format!("{} does not come up", self.name)));
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Kills it; its files stay.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().map_or_else(|| bail!("{} does not run", self.name), Ok)?;
        process.kill()
    }

    pub(crate) fn process_mut(&mut self) -> Result<&mut Process> {
        self.process.as_mut().map_or_else(|| bail!("{} does not run", self.name), Ok)
    }

    /// Returns where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}
