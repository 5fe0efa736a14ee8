//! Who may use our server: one user, whose credentials lie in the server's directory for their owner alone.
//!
//! The user is vouched for by an account, and that by an operator, as NATS has it. Every client knows this way,
//! published providers too: they are handed a user's token and seed, and leave alone what an address says besides
//! host and port. The keys stay the same from start to start, as JetStream keeps its files by account.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use wattle_types::wascap::{KeyKind, KeyPair};

/// What the processes of providers may do (see `deploy/nats/lattice.conf`), on a server of one lattice's.
const PROVIDER_SUBSCRIBES: [&str; 4] = ["wasmbus.rpc.*.*.*", "wasmbus.rpc.*.*.*.>", "_INBOX.*", "_INBOX.*.*"];
/// NATS takes `_INBOX.>` for one of `_INBOX.*`: inboxes of hosts and the command line have more words.
const PROVIDER_HEARS_NOT: [&str; 1] = ["_INBOX.*.*.>"];
const PROVIDER_PUBLISHES: [&str; 1] = ["wasmbus.rpc.*.*"];
/// How long such a process may take for an answer, in nanoseconds.
const PROVIDER_ANSWERS_WITHIN: u64 = 600_000_000_000;

/// The keys of one server, and the files that let its users in.
#[derive(Debug)]
pub(super) struct Access {
    operator: KeyPair,
    account: KeyPair,
    /// The server's own account, without which there is no JetStream. Nobody is its user.
    system: KeyPair,
    credentials: PathBuf,
    /// Of a user who may do no more than a provider's process has to.
    provider_credentials: PathBuf,
}

impl Access {
    /// Opens the keys in `directory`, made when missing, and writes the user's credentials. The directory becomes its
    /// owner's alone.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        private_directory(directory)?;
        let [operator, account, user] = keys(&directory.join("nats-server.keys"))?;
        let system = KeyPair::generate(KeyKind::Account).map_err(io::Error::other)?;
        let [credentials, provider_credentials] = ["nats.creds", "provider.creds"].map(|name| directory.join(name));
        write_credentials(&credentials, &account, &user, json!({}))?;
        // Processes end with the server: there is nobody who would have to be known again.
        let provider = KeyPair::generate(KeyKind::User).map_err(io::Error::other)?;
        write_credentials(&provider_credentials, &account, &provider, provider_permissions())?;
        Ok(Self { operator, account, system, credentials, provider_credentials })
    }

    /// Returns the credentials' file.
    pub(super) fn credentials(&self) -> &Path {
        &self.credentials
    }

    /// Returns the file of the user that providers' processes are.
    pub(super) fn provider_credentials(&self) -> &Path {
        &self.provider_credentials
    }

    /// Returns the lines of the server's configuration that keep everybody else out.
    pub(super) fn config(&self) -> String {
        let operator = &self.operator;
        let account = |key: &KeyPair, limits: &[&str]| {
            let limits = limits.iter().map(|limit| ((*limit).to_owned(), json!(-1)));
            let wildcards = std::iter::once(("wildcards".to_owned(), json!(true)));
            let limits: Value = limits.chain(wildcards).collect();
            let token = token(operator, key, json!({ "type": "account", "limits": limits }));
            format!("{}: {token}", key.public_key())
        };
        let basic = ["subs", "data", "payload", "imports", "exports", "conn", "leaf"];
        let jetstream = ["mem_storage", "disk_storage", "streams", "consumer"];
        format!(
            "operator: {}\n\
             system_account: {}\n\
             resolver: MEMORY\n\
             resolver_preload: {{\n  {}\n  {}\n}}\n",
            token(operator, operator, json!({ "type": "operator" })),
            self.system.public_key(),
            account(&self.system, &basic),
            account(&self.account, &[basic.as_slice(), &jetstream].concat()),
        )
    }
}

fn provider_permissions() -> Value {
    json!({
        "pub": { "allow": PROVIDER_PUBLISHES },
        "sub": { "allow": PROVIDER_SUBSCRIBES, "deny": PROVIDER_HEARS_NOT },
        "resp": { "max": 1, "ttl": PROVIDER_ANSWERS_WITHIN },
    })
}

/// Writes what lets a user of the account in, with these permissions; all of them where there are none.
fn write_credentials(path: &Path, account: &KeyPair, user: &KeyPair, permissions: Value) -> io::Result<()> {
    let mut claims = json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user" });
    if let (Value::Object(claims), Value::Object(permissions)) = (&mut claims, permissions) {
        claims.extend(permissions);
    }
    let token = token(account, user, claims);
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed()
    );
    write_private(path, text.as_bytes())
}

/// Reads the three keys, or makes them.
fn keys(path: &Path) -> io::Result<[KeyPair; 3]> {
    let kinds = [KeyKind::Operator, KeyKind::Account, KeyKind::User];
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = kinds.map(|kind| KeyPair::generate(kind).map(|key| key.seed() + "\n"));
            let text = made.into_iter().collect::<Result<String, _>>().map_err(io::Error::other)?;
            write_private(path, text.as_bytes())?;
            text
        }
        Err(error) => return Err(error),
    };
    let read = text.lines().map(KeyPair::from_seed).collect::<Result<Vec<_>, _>>().ok();
    let read = read.filter(|keys| keys.iter().map(KeyPair::kind).eq(kinds)).and_then(|keys| keys.try_into().ok());
    read.ok_or_else(|| {
        let message = format!("{} does not hold the server's keys; remove it to have new ones made", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Makes a token of NATS's, version 2.
fn token(issuer: &KeyPair, subject: &KeyPair, mut claims: Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    if let Some(claims) = claims.as_object_mut() {
        claims.insert("version".into(), json!(2));
    }
    let subject = subject.public_key().to_string();
    let body = json!({ "jti": subject, "iat": now, "iss": issuer.public_key().to_string(), "name": "wattle",
        "sub": subject, "nats": claims });
    let encoded = |part: &[u8]| BASE64URL_NOPAD.encode(part);
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" }).to_string();
    let signed = format!("{}.{}", encoded(header.as_bytes()), encoded(body.to_string().as_bytes()));
    format!("{signed}.{}", encoded(&issuer.sign(signed.as_bytes())))
}

fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    // It may have been there before, open to others.
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// Writes a file that nobody but its owner can read, not even while it is written: whole or not at all, and in place of
/// whatever was there, also of a link that somebody put there.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    // Of a writing that ended half-way, or not ours.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What cannot be removed now is the next time.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_somebody_made_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["nats.creds", "other"].map(|name| folder.path().join(name));
        for link in [path.clone(), folder.path().join("nats.creds.new")] {
            std::os::unix::fs::symlink(&other, link).unwrap();
        }
        write_private(&path, b"secret").unwrap();
        assert!(!other.exists());
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        assert!(!folder.path().join("nats.creds.new").exists());
    }

    #[test]
    fn keys_stay_and_broken_ones_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Access::open(&folder.path().join("nats")).map(|access| access.account.public_key());
        let account = open().unwrap();
        assert_eq!(open().unwrap(), account);
        fs::write(folder.path().join("nats/nats-server.keys"), "SAASECRET\n").unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains("nats-server.keys") && !error.contains("SECRET"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_was_open_to_others_is_closed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("nats");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("nats.creds"), "").unwrap();
        for path in [directory.clone(), directory.join("nats.creds")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Access::open(&directory).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files = ["nats.creds", "nats-server.keys"].map(|name| mode(&directory.join(name)));
        assert_eq!((mode(&directory), files), (0o700, [0o600; 2]));
    }
}
