//! The run directory of `wattle up`: its state, its lock, its logs.
//!
//! Whoever holds the lock is the host the state speaks of; a state without a held lock is a leftover.

mod leftover;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use wattle_bus::nats_server::NatsServer;

use crate::error::{CliError, Kind};

/// What `wattle up` leaves for `wattle down` and other commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) pid: u32,
    pub(crate) host_id: String,
    pub(crate) friendly_name: String,
    pub(crate) lattice: String,
    pub(crate) nats_url: String,
    /// The credentials file that NATS lets us in with, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nats_creds: Option<PathBuf>,
    /// Whether `wattle up` runs that NATS itself.
    pub(crate) owns_nats: bool,
    pub(crate) version: String,
}

impl State {
    pub(crate) fn nats(&self) -> Nats {
        Nats { url: self.nats_url.clone(), credentials: self.nats_creds.clone() }
    }
}

/// Where NATS is, and what it lets us in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nats {
    pub(crate) url: String,
    /// A credentials file, absolute.
    pub(crate) credentials: Option<PathBuf>,
}

impl Nats {
    /// Returns how to reach our own server.
    pub(crate) fn of(server: &NatsServer) -> Self {
        Self { url: server.url().to_owned(), credentials: server.credentials().map(Path::to_owned) }
    }
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

    /// Returns the run directory of a lattice, in the directory of all.
    pub(crate) fn of_lattice(state: &Path, lattice: &str) -> Self {
        let down = match lattice {
            "default" => "wattle down".into(),
            other => format!("wattle down --lattice {other}"),
        };
        Self::new(state.join(lattice), down)
    }

    /// Returns the run directories on this machine that are known: those of all lattices, and `given`.
    pub(crate) fn all(state: &Path, given: Option<Self>) -> Vec<Self> {
        let entries = fs::read_dir(state).into_iter().flatten().flatten();
        let lattices = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut all: Vec<_> = lattices.map(|lattice| Self::of_lattice(state, &lattice)).collect();
        all.extend(given);
        all.sort_by(|left, right| left.path.cmp(&right.path));
        all.dedup_by(|left, right| left.path == right.path);
        all
    }

    /// Returns how to be let in by the NATS at `url`, or to end it, if it is that of a host that runs from here or was
    /// killed.
    pub(crate) fn hint_for(&self, url: &str) -> Option<String> {
        let state = self.read().ok().flatten().filter(|state| is_same_server(&state.nats_url, url))?;
        let credentials = state.nats_creds?;
        let (name, credentials, down) = (state.friendly_name, credentials.display(), &self.down);
        Some(match self.lock() {
            Ok(Some(_)) => format!("that NATS was left by host {name}, which was killed: end it with {down}"),
            _ => format!("that NATS is of host {name}: give --nats-creds {credentials}"),
        })
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

    /// Makes the directory, for its owner alone.
    pub(crate) fn create(&self) -> Result<(), CliError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path).map_err(|error| CliError::file("make", &self.path, &error))?;
        self.check_owner()?;
        // One that an older version made is closed; any other directory of the user's is left as it is.
        #[cfg(unix)]
        if self.lock_file().exists() {
            fs::set_permissions(&self.path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .map_err(|error| CliError::file("close", &self.path, &error))?;
        }
        Ok(())
    }

    /// Refuses a directory in which somebody else can put, or has put, what credentials would be written through.
    #[cfg(unix)]
    fn check_owner(&self) -> Result<(), CliError> {
        use std::os::unix::fs::MetadataExt as _;
        let facts = fs::metadata(&self.path).map_err(|error| CliError::file("read", &self.path, &error))?;
        let (owner, us) = (facts.uid(), rustix::process::geteuid().as_raw());
        if owner == us && facts.mode() & 0o002 == 0 {
            return Ok(());
        }
        let path = self.path.display();
        let whose = if owner == us { "open to everybody".to_owned() } else { format!("of another user ({owner})") };
        Err(CliError::new(Kind::Refused, "file_denied", format!("the run directory {path} is {whose}"))
            .hint("credentials are written to it: choose one of your own with --run-dir DIR")
            .hint(format!("or close it, if it is yours: chmod 700 {path}")))
    }

    #[cfg(not(unix))]
    fn check_owner(&self) -> Result<(), CliError> {
        Ok(())
    }

    /// Takes the lock, `None` if a host holds it.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, CliError> {
        let path = self.lock_file();
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| CliError::file("open", &path, &error))?;
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
        write_private(&path, text.as_bytes()).map_err(|error| CliError::file("write", &path, &error))
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

    fn lock_file(&self) -> PathBuf {
        self.path.join("host.lock")
    }

    fn state_file(&self) -> PathBuf {
        self.path.join("host.json")
    }
}

fn is_same_server(left: &str, right: &str) -> bool {
    let plain = |url: &str| url.rsplit("://").next().unwrap_or_default().replace("localhost", "127.0.0.1");
    plain(left) == plain(right)
}

/// Writes a file that everybody may read beside its place and moves it there, so that nobody ever sees half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = write_beside(path, bytes)?;
    #[cfg(unix)]
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Writes a file as [`write_whole`] does, for its owner alone.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, bytes)?.persist(path).map(drop).map_err(|error| error.error)
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes an empty file, for its owner alone.
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_directory_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let run_dir = RunDir::new(folder.path().to_owned(), "wattle down".into());
        run_dir.create().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(run_dir.create().unwrap_err().code, "file_denied");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(12345), None).unwrap();
            let error = run_dir.create().unwrap_err();
            assert!(error.message.ends_with("is of another user (12345)"), "{error}");
        }
    }

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
            nats_creds: Some("/run/nats.creds".into()),
            owns_nats: true,
            version: "0".into(),
        };
        run_dir.write(&state).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(run_dir.path()), mode(&run_dir.state_file())), (0o700, 0o600));
            fs::set_permissions(run_dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            run_dir.create().unwrap();
            assert_eq!(mode(run_dir.path()), 0o700, "a directory made by an older version");
        }
        assert_eq!(run_dir.running().unwrap(), Some(state));
        let error = run_dir.claim().unwrap_err();
        assert!(error.message.contains("quiet-reed (process 1)"), "{error}");
        drop(lock);
        assert_eq!(run_dir.running().unwrap(), None);
        run_dir.clear();
    }
}
