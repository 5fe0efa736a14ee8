//! The run directory of `wattle up`: its state, its lock, its logs.
//!
//! Whoever holds the lock is the host the state speaks of; a state without a held lock is a leftover.

mod leftover;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{CliError, Kind};

/// What `wattle up` leaves for `wattle down` and other commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) pid: u32,
    pub(crate) host_id: String,
    pub(crate) friendly_name: String,
    pub(crate) lattice: String,
    pub(crate) nats_url: String,
    /// Whether `wattle up` runs that NATS itself.
    pub(crate) owns_nats: bool,
    pub(crate) version: String,
}

/// The run directory of one lattice.
#[derive(Debug, Clone)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// What people type to end the host here.
    down: String,
}

/// Held while a host runs from the directory. Let go by the kernel even if the process is killed.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: fs::File,
}

impl RunDir {
    pub(crate) const fn new(path: PathBuf, down: String) -> Self {
        Self { path, down }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what people type to end the host here.
    pub(crate) fn down(&self) -> &str {
        &self.down
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.path.join("host.log")
    }

    /// Returns where the log of the host before this one is.
    pub(crate) fn old_log_file(&self) -> PathBuf {
        self.path.join("host.old.log")
    }

    pub(crate) fn nats_directory(&self) -> PathBuf {
        self.path.join("nats")
    }

    /// Ends the nats-server of a host that was killed, and returns whether there was one. The lock shows that no host
    /// runs.
    pub(crate) async fn end_leftover(&self, _lock: &Lock) -> Result<bool, CliError> {
        leftover::end(&self.nats_directory().join("nats-server.conf")).await
    }

    /// Makes the directory.
    pub(crate) fn create(&self) -> Result<(), CliError> {
        fs::create_dir_all(&self.path).map_err(|error| CliError::file("make", &self.path, &error))
    }

    /// Takes the lock, `None` if a host holds it.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, CliError> {
        let path = self.path.join("host.lock");
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| CliError::file("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(CliError::file("lock", &path, &error)),
        }
    }

    /// Returns the state of the host that runs from here, if one does.
    pub(crate) fn running(&self) -> Result<Option<State>, CliError> {
        if !self.path.is_dir() || self.lock()?.is_some() {
            return Ok(None);
        }
        self.read()
    }

    /// Takes the lock for a host, or says which one has it.
    pub(crate) fn claim(&self) -> Result<Lock, CliError> {
        self.create()?;
        self.lock()?.ok_or_else(|| {
            let who = match self.read() {
                Ok(Some(state)) => format!("host {} (process {})", state.friendly_name, state.pid),
                _ => "a host".into(),
            };
            CliError::new(Kind::Refused, "already_up", format!("{who} already runs from {}", self.path.display()))
                .hint(format!("stop it: {}", self.down))
                .hint("or run another beside it: wattle up --run-dir DIR --nats-url URL")
        })
    }

    /// Writes the state, whole or not at all.
    pub(crate) fn write(&self, state: &State) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(state).map_err(|error| CliError::internal(error.to_string()))?;
        let path = self.state_file();
        write_whole(&path, text.as_bytes()).map_err(|error| CliError::file("write", &path, &error))
    }

    /// Removes the state.
    pub(crate) fn clear(&self) {
        // Without it there is nothing to clear; without rights to remove it, its lock still says that it is stale.
        let _missing = fs::remove_file(self.state_file());
    }

    fn read(&self) -> Result<Option<State>, CliError> {
        let path = self.state_file();
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::file("read", &path, &error)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| CliError::internal(format!("{} is not a state: {error}", path.display()))),
        }
    }

    fn state_file(&self) -> PathBuf {
        self.path.join("host.json")
    }
}

/// Writes a file beside its place and moves it there, so that nobody ever sees half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_counts_only_while_its_host_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = RunDir::new(folder.path().join("run"), "wattle down".into());
        assert_eq!(run_dir.running().unwrap(), None);
        let lock = run_dir.claim().unwrap();
        let state = State {
            pid: 1,
            host_id: "N".into(),
            friendly_name: "quiet-reed".into(),
            lattice: "default".into(),
            nats_url: "nats://127.0.0.1:4222".into(),
            owns_nats: true,
            version: "0".into(),
        };
        run_dir.write(&state).unwrap();
        assert_eq!(run_dir.running().unwrap(), Some(state));
        let error = run_dir.claim().unwrap_err();
        assert!(error.message.contains("quiet-reed (process 1)"), "{error}");
        drop(lock);
        assert_eq!(run_dir.running().unwrap(), None);
        run_dir.clear();
    }
}
