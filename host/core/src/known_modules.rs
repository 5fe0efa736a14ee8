//! What was read of module files, for as long as these stay as they are.
//!
//! To start a module that is compiled already needs none of its bytes, only its seal: the token, and the hash of the
//! code. So the seal of each file is kept, beside what tells that nobody has written to the file since. It proves
//! nothing: at each start the token is verified anew, it names the hash, and only code that was compiled from bytes of
//! that hash runs.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wattle_types::wascap::{self, MAX_TOKEN_LEN, ModuleSeal};

/// Most files that are known. When there are so many, the older half is forgotten as a host starts.
const MAX_KNOWN: usize = 20_000;
/// Longest file we read: a token and a few numbers.
const MAX_ENTRY_BYTES: u64 = MAX_TOKEN_LEN as u64 + 1024;
/// A file written to as lately as this may be written to again without its times showing it: clocks have grains.
const SETTLED: Duration = Duration::from_secs(2);

/// Tells a file, and each writing to it, from all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds since 1970. Whoever may write to a file can choose this one,
    modified: (i64, i64),
    /// but not this one, where the file system keeps it.
    changed: (i64, i64),
}

impl FileIdentity {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }

    /// Nothing here tells a writing from another.
    #[cfg(not(unix))]
    fn of(_file: &Metadata) -> Option<Self> {
        None
    }

    /// Returns it if nobody wrote to the file from `before` to `after`, and everybody who does from now on will show:
    /// the clock has gone on since the last writing, and the file system is one that keeps when that was. Those that do
    /// not have a time of whole seconds, such as that of the image they are in.
    pub(crate) fn settled(before: &Metadata, after: &Metadata, now: SystemTime) -> Option<Self> {
        let identity = Self::of(before).filter(|before| Self::of(after).as_ref() == Some(before))?;
        let (seconds, nanos) = identity.changed;
        if nanos == 0 {
            return None;
        }
        let changed = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        let age = now.duration_since(SystemTime::UNIX_EPOCH + changed).ok()?;
        (age > SETTLED).then_some(identity)
    }
}

/// One file we know, as it is kept.
#[derive(Serialize, Deserialize)]
struct Entry {
    file: FileIdentity,
    token: String,
    /// Of the code, in hexadecimal digits.
    hash: String,
    /// Of token and hash: whoever damages them shows. One that was damaged is of a file that has to be read.
    checksum: String,
}

impl Entry {
    fn new(file: FileIdentity, token: String, hash: String) -> Self {
        let checksum = checksum(&token, &hash);
        Self { file, token, hash, checksum }
    }

    fn is_whole(&self) -> bool {
        self.checksum == checksum(&self.token, &self.hash)
    }
}

fn checksum(token: &str, hash: &str) -> String {
    HEXLOWER.encode(&Sha256::new().chain_update(token).chain_update("\n").chain_update(hash).finalize())
}

/// A folder with an entry for each file. Several hosts may share it. Nothing here fails a start: what is not known is
/// read.
pub(crate) struct KnownModules {
    /// Nothing is kept without.
    dir: Option<PathBuf>,
    count: AtomicUsize,
}

impl KnownModules {
    /// Keeps what it knows in `dir`, which is made if it is missing.
    pub(crate) fn open(dir: Option<PathBuf>) -> Self {
        let dir = dir.filter(|dir| {
            let made = fs::create_dir_all(dir);
            made.inspect_err(|error| tracing::warn!(dir = %dir.display(), %error, "modules cannot be remembered"))
                .is_ok()
        });
        let count = dir.as_deref().map_or(0, forget_oldest);
        Self { dir, count: AtomicUsize::new(count) }
    }

    /// Finds the seal of the module in the file at `path`, which nobody has written to since it was read. Reads files.
    pub(crate) fn find(&self, path: &Path) -> Option<ModuleSeal> {
        let mut text = Vec::new();
        File::open(self.entry(path)?).ok()?.take(MAX_ENTRY_BYTES).read_to_end(&mut text).ok()?;
        let entry = serde_json::from_slice(&text).ok().filter(Entry::is_whole)?;
        let is_the_same = |file: Metadata| FileIdentity::of(&file).as_ref() == Some(&entry.file);
        // Looked at first, as opening a pipe would wait, and then opened, as a network's file system may answer the
        // look from memory.
        if !is_the_same(fs::metadata(path).ok()?) || !is_the_same(File::open(path).ok()?.metadata().ok()?) {
            return None;
        }
        Some(ModuleSeal::new(entry.token, wascap::Digest::from_hex(&entry.hash)?))
    }

    /// Remembers the seal of the module in the file at `path`. Writes a file.
    pub(crate) fn remember(&self, path: &Path, file: &FileIdentity, seal: &ModuleSeal) {
        let Some(entry) = self.entry(path) else { return };
        let is_new = !entry.exists();
        if is_new && self.count.load(Ordering::Relaxed) >= MAX_KNOWN {
            return;
        }
        let known = Entry::new(file.clone(), seal.token().to_owned(), seal.hash().to_string());
        match write(&entry, &known) {
            Ok(()) if is_new => drop(self.count.fetch_add(1, Ordering::Relaxed)),
            Ok(()) => {}
            Err(error) => tracing::warn!(file = %entry.display(), %error, "a module cannot be remembered"),
        }
    }

    /// Returns where the file at `path` is written about.
    fn entry(&self, path: &Path) -> Option<PathBuf> {
        let name = HEXLOWER.encode(&Sha256::digest(path.as_os_str().as_encoded_bytes()));
        Some(self.dir.as_ref()?.join(name + ".json"))
    }
}

/// Writes a file that is there whole or not at all, unless the machine itself goes down: then it may be of no use.
fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer(&mut file, entry)?;
    file.persist(path)?;
    Ok(())
}

/// Deletes the older half of the files if there are as many as there may be; returns how many there are.
fn forget_oldest(dir: &Path) -> usize {
    let entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
    if entries.len() < MAX_KNOWN {
        return entries.len();
    }
    let modified = |entry: &fs::DirEntry| entry.metadata().and_then(|facts| facts.modified()).ok();
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (modified(&entry), entry.path())).collect();
    entries.sort();
    let old = entries.len() - MAX_KNOWN / 2;
    for (_, entry) in entries.iter().take(old) {
        // What cannot be deleted is tried again at the next start.
        let _ = fs::remove_file(entry);
    }
    entries.len() - old
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs::FileTimes, os::unix::fs::MetadataExt};

    use super::*;

    struct Scene {
        dir: tempfile::TempDir,
        known: KnownModules,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("module.wasm"), "bytes").unwrap();
            let known = KnownModules::open(Some(dir.path().join("known")));
            Self { dir, known }
        }

        fn module(&self) -> PathBuf {
            self.dir.path().join("module.wasm")
        }

        fn remember(&self, known: &KnownModules) {
            let file = fs::metadata(self.module()).unwrap();
            let identity = FileIdentity::settled(&file, &file, SystemTime::now() + 2 * SETTLED).unwrap();
            known.remember(&self.module(), &identity, &seal());
        }

        fn find(&self) -> Option<ModuleSeal> {
            self.known.find(&self.module())
        }
    }

    fn changed(path: &Path) -> (i64, i64) {
        let file = fs::metadata(path).unwrap();
        (file.ctime(), file.ctime_nsec())
    }

    fn seal() -> ModuleSeal {
        ModuleSeal::new("a.b.c".into(), wascap::Digest::of(b"bytes"))
    }

    #[test]
    fn a_file_nobody_wrote_to_is_known() {
        let scene = Scene::new();
        assert_eq!(scene.find(), None);
        scene.remember(&scene.known);
        assert_eq!(scene.find(), Some(seal()));
        let again = KnownModules::open(Some(scene.dir.path().join("known")));
        assert_eq!(again.find(&scene.module()), Some(seal()));
    }

    #[test]
    fn a_file_written_to_is_not_known_even_with_its_old_time() {
        let scene = Scene::new();
        scene.remember(&scene.known);
        let before = fs::metadata(scene.module()).unwrap();
        // Until the clock of the file system has gone on.
        while (before.ctime(), before.ctime_nsec()) == changed(&scene.module()) {
            fs::write(scene.module(), "BYTES").unwrap();
            let file = File::options().write(true).open(scene.module()).unwrap();
            file.set_times(FileTimes::new().set_modified(before.modified().unwrap())).unwrap();
        }
        assert_eq!(scene.find(), None);
    }

    #[test]
    fn a_file_written_to_just_now_or_meanwhile_is_not_remembered() {
        let scene = Scene::new();
        let before = fs::metadata(scene.module()).unwrap();
        assert_eq!(FileIdentity::settled(&before, &before, SystemTime::now()), None);
        fs::write(scene.module(), "more bytes").unwrap();
        let after = fs::metadata(scene.module()).unwrap();
        assert_eq!(FileIdentity::settled(&before, &after, SystemTime::now() + 2 * SETTLED), None);
    }

    #[test]
    fn a_damaged_seal_is_not_known_and_is_written_anew() {
        let scene = Scene::new();
        scene.remember(&scene.known);
        let entry = scene.known.entry(&scene.module()).unwrap();
        let whole = fs::read_to_string(&entry).unwrap();
        let hash = seal().hash().to_string();
        for (part, damaged) in [("a.b.c", "a.x.c".to_owned()), (&*hash, "0".repeat(hash.len()))] {
            fs::write(&entry, whole.replace(part, &damaged)).unwrap();
            assert_eq!(scene.find(), None, "{damaged}");
        }
        scene.remember(&scene.known);
        assert_eq!(scene.find(), Some(seal()));
    }

    #[test]
    fn nonsense_is_not_known_and_no_folder_is_no_failure() {
        let scene = Scene::new();
        scene.remember(&scene.known);
        for entry in fs::read_dir(scene.dir.path().join("known")).unwrap() {
            fs::write(entry.unwrap().path(), "{").unwrap();
        }
        assert_eq!(scene.find(), None);
        let nowhere = KnownModules::open(Some(scene.module()));
        scene.remember(&nowhere);
        assert_eq!(nowhere.find(&scene.module()), None);
    }
}
