//! Compiled modules kept on disk over restarts.
//!
//! One file per module, `{key}.{pre|raw}.{checksum}.cwasm`: `key` names what was compiled and by which engine, `pre`
//! means a snapshot, and `checksum` is the XXH3 (128 bits) of the file itself. Its time of change is a number taken
//! from the checksum, which whoever writes to the file changes; one who puts it back shows in the time of the last
//! change of anything, which nobody can set. A file is read, and refused if it is damaged, when these times are others
//! or the machine was started since it was used last; otherwise it is mapped unread. Not noticed is what a disk loses
//! by itself while the machine runs, and a change within a second of the last use or before somebody read the file.
//! All that keeps nobody from forging a file; that only this user may write to the folder does. The folder has to be
//! on this machine: nobody may take away from under a mapping what it maps. Files appear whole or not at all. Nothing
//! here fails a start: what cannot be used is compiled again.

use std::{
    fs::{self, File, FileTimes},
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::EngineError;

/// To be raised when files, pre-initialization or the guests' imports change so that old files would be wrong.
const FORMAT: u32 = 3;
const SUFFIX: &str = ".cwasm";
const TEMPORARY: &str = ".tmp";
/// Temporary files older than this were left behind by a crash.
const TEMPORARY_LIFE: Duration = Duration::from_secs(3600);

/// A folder of compiled modules. Several processes may share it.
pub(crate) struct CompileCache {
    dir: PathBuf,
    max_bytes: u64,
    /// SHA-256 of everything about the engine that decides what machine code looks like.
    settings: [u8; 32],
    known: Mutex<Known>,
}

/// What was in the folder when we last looked, and what we have added since. Others may have changed it meanwhile.
#[derive(Default)]
struct Known {
    by_key: FxHashMap<String, FileName>,
    bytes: u64,
}

impl CompileCache {
    pub(crate) fn open(dir: &Path, max_bytes: u64, engine: &Engine) -> Result<Self, EngineError> {
        create_private(dir)
            .map_err(|error| EngineError::Cache { dir: dir.display().to_string(), reason: error.to_string() })?;
        let mut settings = DigestHasher(Sha256::new());
        FORMAT.hash(&mut settings);
        engine.precompile_compatibility_hash().hash(&mut settings);
        let cache =
            Self { dir: dir.to_owned(), max_bytes, settings: settings.0.finalize().into(), known: Mutex::default() };
        cache.evict();
        Ok(cache)
    }

    /// Finds the module with this hash, and tells whether it is a snapshot. Deletes files that are damaged.
    pub(crate) fn load(&self, engine: &Engine, hash: [u8; 32]) -> Option<(Module, bool)> {
        let key = self.key(hash);
        let known = self.find(&key)?;
        let (name, loaded) = match load(engine, &self.path(&known), &known.checksum) {
            // Another process has deleted it, and may have made it again.
            Err(Unusable::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.known().by_key.remove(&key);
                let found = self.find(&key)?;
                let loaded = load(engine, &self.path(&found), &found.checksum);
                (found, loaded)
            }
            loaded => (known, loaded),
        };
        let path = self.path(&name);
        match loaded {
            Ok(module) => return Some((module, name.is_snapshot)),
            Err(Unusable::Unreadable(error)) => {
                tracing::warn!(file = %path.display(), %error, "a compiled module cannot be read and is made again");
            }
            Err(Unusable::Damaged(reason)) => {
                tracing::warn!(file = %path.display(), reason, "a compiled module is damaged and is made again");
                // What cannot be deleted is found damaged, and reported, the next time too.
                let _ = fs::remove_file(&path);
            }
        }
        self.known().by_key.remove(&key);
        None
    }

    /// Returns whether there is a file for the module with this hash.
    pub(crate) fn has(&self, hash: [u8; 32]) -> bool {
        self.find(&self.key(hash)).is_some_and(|name| self.path(&name).exists())
    }

    /// Keeps a module, and makes room for it.
    pub(crate) fn store(&self, module: &Module, hash: [u8; 32], is_snapshot: bool) {
        let stored = module.serialize().map_err(io::Error::other).and_then(|code| {
            let name = FileName { key: self.key(hash), is_snapshot, checksum: checksum(xxh3_128(&code)) };
            write_whole(&self.path(&name), &code, mark(&name.checksum)).map(|()| (name, code.len() as u64))
        });
        let (name, bytes) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "a compiled module could not be kept");
                return;
            }
        };
        let mut known = self.known();
        known.by_key.insert(name.key.clone(), name);
        known.bytes = known.bytes.saturating_add(bytes);
        let is_full = known.bytes > self.max_bytes;
        drop(known);
        if is_full {
            self.evict();
        }
    }

    /// Finds a file's name; in the folder itself only if nobody has seen it yet: another process may have made it.
    /// Drops what is kept of a module that does not come up.
    pub(crate) fn forget(&self, hash: [u8; 32]) {
        let key = self.key(hash);
        if let Some(name) = self.find(&key) {
            // What cannot be deleted fails to come up the next time too.
            let _ = fs::remove_file(self.path(&name));
        }
        self.known().by_key.remove(&key);
    }

    fn find(&self, key: &str) -> Option<FileName> {
        if let Some(name) = self.known().by_key.get(key) {
            return Some(name.clone());
        }
        let found = self.entries().find_map(|(_, name)| (name.key == key).then_some(name))?;
        self.known().by_key.insert(key.to_owned(), found.clone());
        Some(found)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is locked; what lies in it is whole anyway.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &FileName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    fn key(&self, hash: [u8; 32]) -> String {
        HEXLOWER.encode(&Sha256::new().chain_update(self.settings).chain_update(hash).finalize())
    }

    /// Lists our files. Others in the folder are none of our business.
    fn entries(&self) -> impl Iterator<Item = (fs::DirEntry, FileName)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let name = FileName::parse(entry.file_name().to_str()?)?;
            Some((entry, name))
        })
    }

    /// Looks through the folder: deletes the files unused for longest until the rest fits, and temporary files nobody
    /// will finish.
    fn evict(&self) {
        let files = self.entries().filter_map(|(entry, name)| {
            let facts = entry.metadata().ok()?;
            Some(CachedFile { path: entry.path(), name, bytes: facts.len(), used: used(&facts) })
        });
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|file| file.used);
        let mut known = Known { by_key: FxHashMap::default(), bytes: files.iter().map(|file| file.bytes).sum() };
        for file in files {
            if known.bytes > self.max_bytes && fs::remove_file(&file.path).is_ok() {
                known.bytes = known.bytes.saturating_sub(file.bytes);
            } else {
                known.by_key.insert(file.name.key.clone(), file.name);
            }
        }
        *self.known() = known;
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let is_temporary = entry.file_name().to_string_lossy().ends_with(TEMPORARY);
            let age = || entry.metadata().and_then(|facts| facts.modified()).ok()?.elapsed().ok();
            if is_temporary && age().is_some_and(|age| age > TEMPORARY_LIFE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

struct CachedFile {
    path: PathBuf,
    name: FileName,
    bytes: u64,
    used: SystemTime,
}

#[derive(Clone)]
struct FileName {
    key: String,
    is_snapshot: bool,
    checksum: String,
}

impl FileName {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.split('.');
        let (key, kind, checksum) = (parts.next()?, parts.next()?, parts.next()?);
        let is_snapshot = match kind {
            "pre" => true,
            "raw" => false,
            _ => return None,
        };
        let whole = parts.next().is_none() && key.len() == 64 && checksum.len() == 32;
        whole.then(|| Self { key: key.to_owned(), is_snapshot, checksum: checksum.to_owned() })
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.is_snapshot { "pre" } else { "raw" };
        write!(f, "{}.{kind}.{}{SUFFIX}", self.key, self.checksum)
    }
}

/// Why a file is of no use.
enum Unusable {
    /// It cannot be opened, or not mapped: there may be nothing wrong with it.
    Unreadable(io::Error),
    /// It is not what we wrote.
    Damaged(String),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Checks a file and maps it.
fn load(engine: &Engine, path: &Path, checksum: &str) -> Result<Module, Unusable> {
    let code = check(path, checksum)?;
    // SAFETY: the file must be what `Module::serialize` made and must not change while it is mapped. It is the very
    // file that was just checked, by the same handle. Nobody but this user can write to the folder, and we write to no
    // file in place: files appear by renaming and go by unlinking. A process of the same user that forges or truncates
    // files here could just as well replace our executable.
    #[expect(unsafe_code, reason = "mapping machine code that we made ourselves; argued above")]
    let module = unsafe { Module::deserialize_open_file(engine, code) };
    module.map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => Unusable::Unreadable(error),
        Err(error) => Unusable::Damaged(format!("{error:#}")),
    })
}

/// Opens a file if its bytes are those that were written.
fn check(path: &Path, checksum: &str) -> Result<File, Unusable> {
    let mut code = File::open(path)?;
    let facts = code.metadata()?;
    let mark = mark(checksum);
    let is_known =
        facts.modified()? == mark && is_as_we_left_it(&facts) && boot_time().is_some_and(|boot| used(&facts) > boot);
    if !is_known && checksum_of(&mut code)? != checksum {
        return Err(Unusable::Damaged("its bytes are not those that were written".into()));
    }
    // Where that is not possible it is only read again the next time.
    let _ = code.set_times(FileTimes::new().set_accessed(SystemTime::now()).set_modified(mark));
    Ok(code)
}

/// Returns the time of change of the file with this checksum, in whole seconds that all file systems can keep.
fn mark(checksum: &str) -> SystemTime {
    let number = checksum.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(number & 0x7FFF_FFFE))
}

/// Returns when a file was used last: we set its times then, which shows in one that nobody can set.
#[cfg(unix)]
fn used(file: &fs::Metadata) -> SystemTime {
    use std::os::unix::fs::MetadataExt;
    let seconds = Duration::from_secs(u64::try_from(file.ctime()).unwrap_or_default());
    let nanos = Duration::from_nanos(u64::try_from(file.ctime_nsec()).unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + nanos
}

/// Returns whether nobody changed the file since we set its times. That sets when it was read last and when it was
/// changed last to the same moment; who writes to it later and puts the first two times back shows in the last.
#[cfg(unix)]
fn is_as_we_left_it(file: &fs::Metadata) -> bool {
    /// Clocks of file systems have grains.
    const GRAIN: Duration = Duration::from_secs(1);
    file.accessed().is_ok_and(|accessed| used(file) <= accessed + GRAIN)
}

#[cfg(not(unix))]
fn is_as_we_left_it(_file: &fs::Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn used(file: &fs::Metadata) -> SystemTime {
    file.accessed().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns when this machine was started, where it tells. Writing may have ended half-way then.
fn boot_time() -> Option<SystemTime> {
    static BOOT: LazyLock<Option<SystemTime>> = LazyLock::new(|| {
        let facts = fs::read_to_string("/proc/stat").ok()?;
        let seconds = facts.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    });
    *BOOT
}

fn checksum(value: u128) -> String {
    HEXLOWER.encode(&value.to_be_bytes())
}

fn checksum_of(file: &mut File) -> io::Result<String> {
    const PIECE_BYTES: usize = 256 << 10;
    let (mut hasher, mut piece) = (Xxh3::new(), vec![0; PIECE_BYTES]);
    loop {
        let read = file.read(&mut piece)?;
        match piece.get(..read) {
            Some(bytes) if read > 0 => hasher.update(bytes),
            _ => return Ok(checksum(hasher.digest128())),
        }
    }
}

/// Writes a file so that it is there whole or not at all, also after a crash.
fn write_whole(path: &Path, bytes: &[u8], modified: SystemTime) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new().suffix(TEMPORARY).tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().set_modified(modified)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(unix)]
fn create_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Feeds a digest with what is hashed.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Nobody asks: the digest itself is read.
        0
    }
}
