//! Compiled modules kept on disk over restarts.
//!
//! One file per module, `{key}.{pre|raw}.{digest}.cwasm`: `key` names what was compiled and by which engine, `pre`
//! means pre-initialized, and `digest` is the SHA-256 of the file itself, so that a damaged file is noticed and a file
//! appears whole or not at all. Nothing here fails a start: what cannot be read is compiled again.

use std::{
    fs::{self, File},
    hash::{Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

use crate::EngineError;

/// To be raised when files, pre-initialization or the guests' imports change so that old files would be wrong.
const FORMAT: u32 = 2;
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
}

impl CompileCache {
    pub(crate) fn open(dir: &Path, max_bytes: u64, engine: &Engine) -> Result<Self, EngineError> {
        create_private(dir)
            .map_err(|error| EngineError::Cache { dir: dir.display().to_string(), reason: error.to_string() })?;
        let mut settings = DigestHasher(Sha256::new());
        FORMAT.hash(&mut settings);
        engine.precompile_compatibility_hash().hash(&mut settings);
        Ok(Self { dir: dir.to_owned(), max_bytes, settings: settings.0.finalize().into() })
    }

    /// Finds the module with this hash, and tells whether it is pre-initialized. Deletes files that are damaged.
    pub(crate) fn load(&self, engine: &Engine, hash: [u8; 32]) -> Option<(Module, bool)> {
        let key = self.key(hash);
        let found = self.files().into_iter().find(|file| file.name.key == key)?;
        match load(engine, &found) {
            Ok(module) => Some((module, found.name.preinitialized)),
            Err(reason) => {
                tracing::warn!(file = %found.path.display(), reason, "a compiled module is damaged and is made again");
                // What cannot be deleted is found damaged, and reported, the next time too.
                let _ = fs::remove_file(&found.path);
                None
            }
        }
    }

    /// Keeps a module, and makes room for it.
    pub(crate) fn store(&self, module: &Module, hash: [u8; 32], preinitialized: bool) {
        let stored = module.serialize().map_err(io::Error::other).and_then(|code| {
            let name = FileName { key: self.key(hash), preinitialized, digest: digest(&code) };
            write_whole(&self.dir, &name.to_string(), &code)
        });
        match stored {
            Ok(()) => self.evict(),
            Err(error) => tracing::warn!(dir = %self.dir.display(), %error, "a compiled module could not be kept"),
        }
    }

    fn key(&self, hash: [u8; 32]) -> String {
        HEXLOWER.encode(&Sha256::new().chain_update(self.settings).chain_update(hash).finalize())
    }

    /// Lists our files. Others in the folder are none of our business.
    fn files(&self) -> Vec<CachedFile> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let ours = entries.filter_map(|entry| {
            let name = FileName::parse(entry.file_name().to_str()?)?;
            let facts = entry.metadata().ok()?;
            let used = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            Some(CachedFile { path: entry.path(), name, bytes: facts.len(), used })
        });
        ours.collect()
    }

    /// Deletes the files unused for longest until the rest fits, and temporary files nobody will finish.
    fn evict(&self) {
        let mut files = self.files();
        files.sort_by_key(|file| file.used);
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if total <= self.max_bytes {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                total = total.saturating_sub(file.bytes);
            }
        }
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|facts| facts.modified()).ok().and_then(|time| time.elapsed().ok());
            let temporary = entry.file_name().to_string_lossy().ends_with(TEMPORARY);
            if temporary && age.is_some_and(|age| age > TEMPORARY_LIFE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

struct CachedFile {
    path: PathBuf,
    name: FileName,
    bytes: u64,
    /// Its time of change, which we set when we use it.
    used: SystemTime,
}

struct FileName {
    key: String,
    preinitialized: bool,
    digest: String,
}

impl FileName {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.split('.');
        let (key, kind, digest) = (parts.next()?, parts.next()?, parts.next()?);
        let preinitialized = match kind {
            "pre" => true,
            "raw" => false,
            _ => return None,
        };
        let whole = parts.next().is_none() && key.len() == 64 && digest.len() == 64;
        whole.then(|| Self { key: key.to_owned(), preinitialized, digest: digest.to_owned() })
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.preinitialized { "pre" } else { "raw" };
        write!(f, "{}.{kind}.{}{SUFFIX}", self.key, self.digest)
    }
}

/// Checks a file against the digest in its name and maps it.
fn load(engine: &Engine, file: &CachedFile) -> Result<Module, String> {
    let mut code = File::open(&file.path).map_err(|error| error.to_string())?;
    let mut hasher = DigestHasher(Sha256::new());
    io::copy(&mut code, &mut hasher).map_err(|error| error.to_string())?;
    if HEXLOWER.encode(&hasher.0.finalize()) != file.name.digest {
        return Err("its bytes are not those that were written".into());
    }
    // Only decides which file is evicted first.
    let _ = code.set_modified(SystemTime::now());
    // SAFETY: the file must be what `Module::serialize` made and must not change while it is mapped. It is the very
    // file whose digest was just checked, by the same handle. Nobody but this user can write to the folder, and we
    // write to no file in place: files appear by renaming and go by unlinking. A process of the same user that forges
    // or truncates files here could just as well replace our executable.
    #[expect(unsafe_code, reason = "mapping machine code that we made ourselves; argued above")]
    let module = unsafe { Module::deserialize_open_file(engine, code) };
    module.map_err(|error| format!("{error:#}"))
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Writes a file so that it is there whole or not at all, also after a crash.
fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.{}{TEMPORARY}", std::process::id()));
    let mut file = private_file(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let done = written.and_then(|()| fs::rename(&temporary, dir.join(name)));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
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

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Feeds a digest with what is hashed or written.
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

impl Write for DigestHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
