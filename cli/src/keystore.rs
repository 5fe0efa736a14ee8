//! The keys directory: one seed a file, readable by its owner only.
//!
//! A key's file is `{name}_{kind}.nk` and holds the seed's text. One that was made for an actor or a provider has
//! beside it what that is called: two names never share a key, however alike they look as the name of a file.

mod name;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use wattle_wascap::{KeyError, KeyKind, KeyPair, PublicKey};

use crate::{
    error::{CliError, Kind},
    output::Output,
};

pub(crate) use name::plain_name;

/// Name of a key nobody named.
pub(crate) const DEFAULT_NAME: &str = "default";

const EXTENSION: &str = "nk";

/// Shortest prefix of a public key that is taken for one: kind and a few more letters.
const PREFIX_LEN_MIN: usize = 4;

/// A key with its place in the directory.
#[derive(Debug)]
pub(crate) struct StoredKey {
    /// File name without extension.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) pair: KeyPair,
}

impl StoredKey {
    fn expect_kind(self, kind: KeyKind) -> Result<Self, CliError> {
        match self.pair.public_key().expect_kind(kind) {
            Ok(_) => Ok(self),
            Err(error) => {
                let message = format!("the key {} does not fit here: {error}", self.name);
                Err(CliError { message, ..CliError::from(error) })
            }
        }
    }
}

/// A key that was asked for: found, or made and stored.
#[derive(Debug)]
pub(crate) struct Obtained {
    pub(crate) key: StoredKey,
    pub(crate) is_new: bool,
}

/// The keys directory.
#[derive(Debug, Clone)]
pub(crate) struct Keystore {
    directory: PathBuf,
}

impl Keystore {
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns all keys, by name, without the files that hold none. A directory that is not there yet has none.
    pub(crate) fn list(&self) -> Result<Vec<StoredKey>, CliError> {
        let mut keys: Vec<_> = self.read_all()?.into_iter().flatten().collect();
        keys.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(keys)
    }

    /// Warns of every file that should hold a key and does not, and of what is open to others.
    pub(crate) fn warn_of_faults(&self, output: &Output) -> Result<(), CliError> {
        for exposed in self.exposed() {
            output.warn(&exposed);
        }
        for error in self.read_all()?.into_iter().filter_map(Result::err) {
            output.warn(&format!("{}; it is left out", error.message));
        }
        Ok(())
    }

    fn read_all(&self) -> Result<Vec<Result<StoredKey, CliError>>, CliError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| CliError::file("read", &self.directory, &error))?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| CliError::file("read", &self.directory, &error))?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                keys.push(read(&path));
            }
        }
        Ok(keys)
    }

    /// Returns the keys of one kind.
    pub(crate) fn public_keys(&self, kind: KeyKind) -> Result<Vec<PublicKey>, CliError> {
        let keys = self.list()?.into_iter().map(|key| key.pair.public_key());
        Ok(keys.filter(|key| key.kind() == kind).collect())
    }

    /// Makes a key and stores it. A key that is already there is never replaced.
    pub(crate) fn generate(&self, kind: KeyKind, name: &str) -> Result<StoredKey, CliError> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || name.len() > 100 || !name.bytes().all(is_name) {
            let error = CliError::usage(format!("{name:?} is not a key's name"));
            return Err(error.hint("use letters, digits, '_' and '-'"));
        }
        self.make(kind, name)
    }

    /// Makes a key and stores it under `{name}_{kind}`.
    fn make(&self, kind: KeyKind, name: &str) -> Result<StoredKey, CliError> {
        self.create_directory()?;
        let pair = KeyPair::generate(kind)?;
        let stem = format!("{name}_{kind}");
        let path = self.path(&stem);
        write_new(&path, pair.seed().as_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                if let Err(broken) = read(&path) {
                    return broken;
                }
                CliError::new(Kind::Refused, "key_exists", format!("there is already a key {stem}"))
                    .hint(format!("show it: wattle keys get {stem}"))
                    .hint("or choose another --name")
            }
            _ => CliError::file("write", &path, &error),
        })?;
        Ok(StoredKey { name: stem, path, pair })
    }

    /// Returns the key of the actor or provider with this name, or makes one. A key that was made for another name is
    /// not taken.
    pub(crate) fn named_for(&self, name: &str, kind: KeyKind) -> Result<Obtained, CliError> {
        let (exact, older) = (name::of_file(name), plain_name(name));
        for plain in [&exact, &older] {
            let stem = format!("{plain}_{kind}");
            let path = self.path(&stem);
            if !path.try_exists().map_err(|error| CliError::file("read", &path, &error))? {
                continue;
            }
            match self.owner(&stem)? {
                Some(owner) if owner == name => {}
                // A file of an earlier version, which may have been for any of the names alike: the first has it.
                None => self.set_owner(&stem, name)?,
                Some(owner) if *plain == exact => return Err(taken(&stem, &owner, name)),
                Some(_) => continue,
            }
            return Ok(Obtained { key: read(&path)?.expect_kind(kind)?, is_new: false });
        }
        let key = self.make(kind, &exact)?;
        self.set_owner(&key.name, name)?;
        Ok(Obtained { key, is_new: true })
    }

    /// Returns the name of the actor or provider that a key was made for, where that is known.
    fn owner(&self, stem: &str) -> Result<Option<String>, CliError> {
        let path = self.owner_file(stem);
        match fs::read_to_string(&path) {
            Ok(owner) => Ok(Some(owner)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::file("read", &path, &error)),
        }
    }

    fn set_owner(&self, stem: &str, name: &str) -> Result<(), CliError> {
        let path = self.owner_file(stem);
        write_new(&path, name.as_bytes()).map_err(|error| CliError::file("write", &path, &error))
    }

    fn owner_file(&self, stem: &str) -> PathBuf {
        self.directory.join(format!("{stem}.name"))
    }

    fn path(&self, stem: &str) -> PathBuf {
        self.directory.join(format!("{stem}.{EXTENSION}"))
    }

    /// Returns what others can read or replace here, each with the command that mends it.
    pub(crate) fn exposed(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut keys: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == EXTENSION)).collect();
        keys.sort();
        let directory = is_open(&self.directory, 0o022).then(|| {
            let path = self.directory.display();
            format!("others can put keys of theirs in {path}: chmod 700 {path}")
        });
        let keys = keys.into_iter().filter(|path| is_open(path, 0o077));
        let keys = keys.map(|path| format!("others can use your key: chmod 600 {}", path.display()));
        directory.into_iter().chain(keys).collect()
    }

    /// Returns the key meant by a name, a file, a public key or its unique prefix.
    pub(crate) fn find(&self, wanted: &str, kind: Option<KeyKind>) -> Result<StoredKey, CliError> {
        let key = self.look(wanted, kind)?.ok_or_else(|| self.not_found(wanted, kind))?;
        match kind {
            Some(kind) => key.expect_kind(kind),
            None => Ok(key),
        }
    }

    /// Returns the key meant, or makes one of that name.
    pub(crate) fn find_or_generate(&self, wanted: &str, kind: KeyKind) -> Result<Obtained, CliError> {
        match self.look(wanted, Some(kind))? {
            Some(key) => Ok(Obtained { key: key.expect_kind(kind)?, is_new: false }),
            None if wanted.contains(['/', '.']) || wanted.parse::<PublicKey>().is_ok() => {
                Err(self.not_found(wanted, Some(kind)))
            }
            None => Ok(Obtained { key: self.generate(kind, wanted)?, is_new: true }),
        }
    }

    fn look(&self, wanted: &str, kind: Option<KeyKind>) -> Result<Option<StoredKey>, CliError> {
        let named = |stem: &str| self.path(stem);
        let plain = !wanted.contains('/');
        let candidates = [
            kind.filter(|_| plain).map(|kind| named(&format!("{wanted}_{kind}"))),
            plain.then(|| named(wanted)),
            Some(PathBuf::from(wanted)),
        ];
        if let Some(path) = candidates.into_iter().flatten().find(|path| path.is_file()) {
            return read(&path).map(Some);
        }
        let mut found = self.list()?;
        found.retain(|key| is_prefix(key, wanted) || is_named(key, wanted, kind));
        match found.len() {
            0 | 1 => Ok(found.pop()),
            count => Err(CliError::new(Kind::Usage, "key_ambiguous", format!("{wanted:?} means {count} keys"))
                .hint("give more of the key, or its whole name: wattle keys list")),
        }
    }

    fn not_found(&self, wanted: &str, kind: Option<KeyKind>) -> CliError {
        let kind = kind.map_or_else(|| "key".into(), |kind| format!("{kind} key"));
        if wanted.contains('/') || Path::new(wanted).extension().is_some_and(|extension| extension == EXTENSION) {
            return CliError::new(Kind::Refused, "key_not_found", format!("there is no key file {wanted:?}"))
                .hint("check the path; it is relative to the directory you are in")
                .hint("see the keys you have: wattle keys list");
        }
        let message = format!("there is no {kind} {wanted:?} in {}", self.directory.display());
        CliError::new(Kind::Refused, "key_not_found", message)
            .hint("see the keys you have: wattle keys list")
            .hint("make one: wattle keys gen KIND --name NAME")
    }

    fn create_directory(&self) -> Result<(), CliError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.directory).map_err(|error| CliError::file("make", &self.directory, &error))
    }
}

fn is_prefix(key: &StoredKey, wanted: &str) -> bool {
    wanted.len() >= PREFIX_LEN_MIN && key.pair.public_key().to_string().starts_with(wanted)
}

/// Whether it is the name of a key whose kind nobody said.
fn is_named(key: &StoredKey, wanted: &str, kind: Option<KeyKind>) -> bool {
    kind.is_none() && key.name == format!("{wanted}_{}", key.pair.public_key().kind())
}

fn taken(stem: &str, owner: &str, name: &str) -> CliError {
    let message = format!("the key {stem} was made for {owner:?}, not for {name:?}");
    CliError::new(Kind::Refused, "key_of_another", message).hint("give it a key of its own: --subject NAME")
}

#[cfg(unix)]
fn is_open(path: &Path, to: u32) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & to != 0)
}

#[cfg(not(unix))]
fn is_open(_path: &Path, _to: u32) -> bool {
    false
}

fn read(path: &Path) -> Result<StoredKey, CliError> {
    let text = fs::read_to_string(path).map_err(|error| CliError::file("read", path, &error))?;
    if text.trim().is_empty() {
        let message = format!("{} is empty: the disk may have been full when it was made", path.display());
        return Err(CliError::new(Kind::Usage, "key_invalid", message)
            .hint(format!("it holds no key; remove it, and make another: rm {}", path.display())));
    }
    let pair = KeyPair::from_seed(&text).map_err(|error| {
        let message = match error {
            KeyError::NotASeed => format!("{} holds a public key, not a seed", path.display()),
            error => format!("{} does not hold a seed: {error}", path.display()),
        };
        CliError::new(Kind::Usage, "key_invalid", message).hint("a seed begins with S and has 58 characters")
    })?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(StoredKey { name, path: path.to_owned(), pair })
}

/// Writes a file for its owner alone, which is there whole or not at all. Replaces none. No line feed ends it: other
/// tools take one for a part of the seed.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Keystore) {
        let folder = tempfile::tempdir().unwrap();
        let store = Keystore::new(folder.path().join("keys"));
        (folder, store)
    }

    #[test]
    fn keys_are_stored_for_their_owner_only_and_never_replaced() {
        let (_folder, store) = store();
        assert!(store.list().unwrap().is_empty());
        let key = store.generate(KeyKind::Account, "mine").unwrap();
        assert_eq!(store.generate(KeyKind::Account, "mine").unwrap_err().code, "key_exists");
        assert_eq!(store.list().unwrap()[0].pair.public_key(), key.pair.public_key());
        for bad in ["", "a/b", "..", "a b"] {
            assert_eq!(store.generate(KeyKind::Account, bad).unwrap_err().kind.exit_code(), 2, "{bad}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&key.path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(store.directory()).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_key_is_found_by_name_file_and_prefix() {
        let (_folder, store) = store();
        let key = store.generate(KeyKind::Account, "mine").unwrap();
        let public = key.pair.public_key().to_string();
        for wanted in ["mine", "mine_account", &public, &public[..10], key.path.to_str().unwrap()] {
            assert_eq!(store.find(wanted, Some(KeyKind::Account)).unwrap().name, "mine_account", "{wanted}");
        }
        assert_eq!(store.find("mine", None).unwrap().name, "mine_account");
        assert_eq!(store.find("min", None).unwrap_err().code, "key_not_found");
        assert_eq!(store.find("mine_account", Some(KeyKind::Module)).unwrap_err().code, "key_invalid");
        assert!(store.find_or_generate("mine", KeyKind::Module).unwrap().is_new);
        assert_eq!(store.find("mine", None).unwrap_err().code, "key_ambiguous");
        assert!(!store.find_or_generate("mine", KeyKind::Module).unwrap().is_new);
        assert_eq!(store.find_or_generate("./no.nk", KeyKind::Module).unwrap_err().code, "key_not_found");
    }

    #[test]
    fn a_file_that_is_no_seed_says_so_without_showing_it() {
        let (folder, store) = store();
        let path = folder.path().join("bad.nk");
        fs::write(&path, "SAASECRET").unwrap();
        let error = store.find(path.to_str().unwrap(), None).unwrap_err();
        assert!(error.message.contains("does not hold a seed") && !error.message.contains("SECRET"), "{error}");
    }

    #[test]
    fn each_name_of_an_actor_has_a_key_of_its_own() {
        let (_folder, store) = store();
        let long = "x".repeat(300);
        let names = ["日本", "中国", "a b", "a.b", "a_b", "Cart", "CART", "cart", "", "%20", " ", &long];
        let keys: Vec<_> =
            names.map(|name| store.named_for(name, KeyKind::Module).unwrap().key.pair.public_key()).into();
        let distinct: std::collections::BTreeSet<_> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), names.len());
        for (name, key) in names.iter().zip(keys) {
            let again = store.named_for(name, KeyKind::Module).unwrap();
            assert!(!again.is_new && again.key.pair.public_key() == key, "{name}");
        }
    }

    #[test]
    fn a_key_of_an_earlier_version_is_for_the_first_name_that_asks() {
        let (_folder, store) = store();
        let older = store.generate(KeyKind::Module, "cart").unwrap().pair.public_key();
        assert_eq!(store.named_for("Cart", KeyKind::Module).unwrap().key.pair.public_key(), older);
        assert_ne!(store.named_for("CART", KeyKind::Module).unwrap().key.pair.public_key(), older);
        assert_eq!(store.named_for("cart", KeyKind::Module).unwrap_err().code, "key_of_another");
        assert_eq!(store.named_for("Cart", KeyKind::Module).unwrap().key.pair.public_key(), older);
    }

    #[test]
    fn a_file_holds_the_seed_alone_and_an_empty_one_says_what_to_do() {
        let (_folder, store) = store();
        let key = store.generate(KeyKind::Account, "default").unwrap();
        assert_eq!(fs::read_to_string(&key.path).unwrap(), key.pair.seed().as_str());
        fs::write(&key.path, "").unwrap();
        for error in
            [store.generate(KeyKind::Account, "default").unwrap_err(), store.find("default_account", None).unwrap_err()]
        {
            assert!(error.message.ends_with("is empty: the disk may have been full when it was made"), "{error}");
            assert!(error.hints[0].contains("rm "), "{error:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_read_or_replace_is_named_with_its_remedy() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, store) = store();
        let key = store.generate(KeyKind::Account, "default").unwrap();
        assert!(store.exposed().is_empty());
        fs::set_permissions(&key.path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(store.directory(), fs::Permissions::from_mode(0o777)).unwrap();
        let exposed = store.exposed();
        assert!(exposed[0].ends_with(&format!("chmod 700 {}", store.directory().display())), "{exposed:?}");
        assert!(exposed[1].ends_with(&format!("chmod 600 {}", key.path.display())), "{exposed:?}");
    }
}
