//! A nats-server set up as `deploy/nats/README.md` says, from the files there, and who may use it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;
use wattle_bus::{Bus as _, NatsAuth, NatsBus, NatsOptions, TlsIdentity, nats_server};
use wattle_wascap::{KeyKind, KeyPair};

use crate::rig::eventually;

/// The users of a lattice, in the order in which `new-lattice.sh` takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Host,
    Provider,
    Operator,
    Observer,
}

impl Role {
    const ALL: [Self; 4] = [Self::Host, Self::Provider, Self::Operator, Self::Observer];

    /// Returns what its inboxes begin with; a process's as its library has it.
    fn inbox(self, lattice: &str) -> Option<String> {
        let name = match self {
            Self::Host => "host",
            Self::Provider => return Some("_INBOX".into()),
            Self::Operator => "operator",
            Self::Observer => "observer",
        };
        Some(format!("_INBOX.{lattice}.{name}"))
    }
}

/// How the lattices share the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Each in an account, as in the configuration that is shipped.
    Accounts,
    /// Both in one account, kept apart by their users' permissions only.
    Permissions,
}

/// A running server with two lattices, `default` and `other`. Ended when dropped.
pub(super) struct Site {
    folder: TempDir,
    port: u16,
    server: Child,
    users: Users,
    /// The JetStream domain of the lattices' state.
    js_domain: Option<&'static str>,
}

type Users = Arc<Vec<(&'static str, Role, KeyPair)>>;

/// As in `hub.conf`.
const DOMAIN: &str = "hub";

pub(super) const LATTICES: [&str; 2] = ["default", "other"];

pub(super) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/nats")
}

impl Site {
    pub(super) async fn start(sharing: Sharing) -> Self {
        Self::start_with(sharing, false).await
    }

    /// Starts a server; `verify` if it is to ask clients for a certificate.
    pub(super) async fn start_with(sharing: Sharing, verify: bool) -> Self {
        let (folder, users) = files(None);
        let port = free_port();
        let text = config(folder.path(), port, sharing, verify);
        Self::launch(folder, port, &text, users, None).await
    }

    /// Starts a server that is a hub, and a leaf node of it, which knows the lattice `default` only.
    pub(super) async fn start_hub_and_leaf() -> [Self; 2] {
        let (folder, users) = files(Some(DOMAIN));
        let leaf_folder = tempfile::tempdir().unwrap();
        let lattice = fs::read_to_string(folder.path().join("lattice-default.conf")).unwrap();
        let password = lattice.split("password: \"").nth(1).unwrap().split('"').next().unwrap();
        for name in ["ca.pem", "server.pem", "server.key", "lattice-default.conf"] {
            fs::copy(folder.path().join(name), leaf_folder.path().join(name)).unwrap();
        }
        let [port, leaf_port, at] = [(); 3].map(|()| free_port());
        let mut hub = config(folder.path(), port, Sharing::Accounts, false);
        replace(&mut hub, "jetstream {\n", &format!("jetstream {{\n  domain: \"{DOMAIN}\"\n"));
        let mut part = fs::read_to_string(shipped().join("hub.conf")).unwrap();
        replace(&mut part, "0.0.0.0:7422", &format!("127.0.0.1:{at}"));
        let mut leaf = fs::read_to_string(shipped().join("leaf.conf")).unwrap();
        replace(&mut leaf, "0.0.0.0:4222", &format!("127.0.0.1:{leaf_port}"));
        replace(&mut leaf, ":PASSWORD@nats.example:7422", &format!(":{password}@localhost:{at}"));
        let hub = Self::launch(folder, port, &format!("{hub}\n{part}"), users.clone(), None).await;
        let leaf = Self::launch(leaf_folder, leaf_port, &leaf, users, Some(DOMAIN)).await;
        let host = leaf.connect("default", Role::Host).await;
        eventually(async || host.bucket("LATTICEDATA_default").await.ok()).await;
        [hub, leaf]
    }

    /// Returns who logs in at the hub when this leaf node does, by which password, and where.
    pub(super) fn remote(&self) -> [String; 3] {
        let text = fs::read_to_string(self.file("nats.conf")).unwrap();
        let remote = text.split("url: \"tls://").nth(1).unwrap().split('"').next().unwrap();
        let mut parts = remote.splitn(3, [':', '@']).map(str::to_owned);
        std::array::from_fn(|_| parts.next().unwrap())
    }

    /// Starts a leaf node of a hub that has the hub's authority, but neither a user nor a certificate.
    pub(super) async fn start_stranger(&self, hub: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        fs::copy(self.file("ca.pem"), folder.path().join("ca.pem")).unwrap();
        let remote = format!("{{ url: \"tls://{hub}\", tls {{ ca_file: \"./ca.pem\" }} }}");
        let text = format!("listen: \"127.0.0.1:{port}\"\nleafnodes {{ remotes: [ {remote} ] }}\n");
        Self::launch(folder, port, &text, Arc::default(), None).await
    }

    /// Connects as a client with a password.
    pub(super) async fn connect_with(&self, user: String, password: String) -> Result<(), String> {
        let options = async_nats::ConnectOptions::with_user_and_password(user, password);
        let options = options.add_root_certificates(self.file("ca.pem")).require_tls(true);
        let connected = options.connect(format!("tls://localhost:{}", self.port)).await;
        connected.map(drop).map_err(|error| error.to_string())
    }

    /// Starts a server in its folder and waits until it is ready.
    async fn launch(folder: TempDir, port: u16, text: &str, users: Users, js_domain: Option<&'static str>) -> Self {
        fs::write(folder.path().join("nats.conf"), text).unwrap();
        let program = nats_server::find().unwrap_or_else(|error| panic!("{error}: {}", error.remedy()));
        let mut command = Command::new(program);
        command.args(["--config", "nats.conf", "-V", "--log", "nats.log"]).current_dir(&folder);
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let site = Self { folder, port, server, users, js_domain };
        eventually(async || site.log().contains("Server is ready").then_some(())).await;
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what the server has logged: every message and subscription among it.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.file("nats.log")).unwrap_or_default()
    }

    /// Has nats-server check this server's configuration together with one more file that is shipped; returns what it
    /// says.
    pub(super) fn check_with(&self, name: &str) -> String {
        fs::copy(shipped().join(name), self.file(name)).unwrap();
        let text = fs::read_to_string(self.file("nats.conf")).unwrap();
        fs::write(self.file("checked.conf"), format!("{text}\ninclude \"./{name}\"\n")).unwrap();
        let mut command = Command::new(nats_server::find().unwrap());
        let output = command.args(["-t", "--config", "checked.conf"]).current_dir(&self.folder).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }

    /// Returns how a role of a lattice connects.
    pub(super) fn options(&self, lattice: &str, role: Role) -> NatsOptions {
        let (.., key) = self.users.iter().find(|(of, is, _)| *of == lattice && *is == role).unwrap();
        NatsOptions {
            urls: vec![format!("tls://localhost:{}", self.port)],
            auth: NatsAuth::NkeySeed(key.seed()),
            tls_ca: Some(self.file("ca.pem")),
            tls_identity: None,
            inbox_prefix: role.inbox(lattice),
            js_domain: self.js_domain.map(str::to_owned),
            name: format!("{lattice} {role:?}"),
        }
    }

    /// Returns the client's certificate.
    pub(super) fn tls_identity(&self) -> TlsIdentity {
        TlsIdentity { certificate: self.file("client.pem"), key: self.file("client.key") }
    }

    pub(super) async fn connect(&self, lattice: &str, role: Role) -> NatsBus {
        NatsBus::connect(self.options(lattice, role)).await.unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _gone_already = self.server.kill();
        let _reaped = self.server.wait();
    }
}

/// Makes certificates and the files of all lattices in a folder.
fn files(js_domain: Option<&str>) -> (TempDir, Users) {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("sh").arg(shipped().join("certificates.sh")).arg("localhost").current_dir(&folder));
    let mut users = Vec::new();
    for lattice in LATTICES {
        let keys = Role::ALL.map(|role| (lattice, role, KeyPair::generate(KeyKind::User).unwrap()));
        let mut script = Command::new("sh");
        script.arg(shipped().join("new-lattice.sh")).arg(lattice);
        let text = run(script.args(keys.iter().map(|(_, _, key)| key.public_key().to_string())).args(js_domain));
        fs::write(folder.path().join(format!("lattice-{lattice}.conf")), text).unwrap();
        users.extend(keys);
    }
    (folder, Arc::new(users))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Replaces what is there exactly once.
fn replace(text: &mut String, from: &str, to: &str) {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    *text = text.replace(from, to);
}

/// Returns the shipped configuration, changed as its comments say.
fn config(folder: &Path, port: u16, sharing: Sharing, verify: bool) -> String {
    let mut text = fs::read_to_string(shipped().join("nats.conf")).unwrap();
    let account = "  DEFAULT: {\n    jetstream: enabled\n    include \"./lattice-default.conf\"\n  }\n";
    let mut change = |from: &str, to: &str| replace(&mut text, from, to);
    change("listen: \"0.0.0.0:4222\"", &format!("listen: \"127.0.0.1:{port}\""));
    change("verify: false", &format!("verify: {verify}"));
    match sharing {
        Sharing::Accounts => {
            let other = account.replace("DEFAULT", "OTHER").replace("default", "other");
            change(account, &format!("{account}{other}"));
        }
        Sharing::Permissions => change(account, &one_account(folder)),
    }
    text
}

/// Returns one account with the users of both lattices: roles have other names, the users are one list.
fn one_account(folder: &Path) -> String {
    let mut lines = "  BOTH: {\n    jetstream: enabled\n".to_owned();
    let mut users = String::new();
    for lattice in LATTICES {
        let text = fs::read_to_string(folder.join(format!("lattice-{lattice}.conf"))).unwrap();
        let mut text = text;
        for role in ["HOST", "PROVIDER", "OPERATOR", "OBSERVER"] {
            text = text.replace(&format!("\n{role}: {{"), &format!("\n{role}_{lattice}: {{"));
            text = text.replace(&format!("${role} "), &format!("${role}_{lattice} "));
        }
        let (roles, list) = text.split_once("users: [").unwrap();
        lines.push_str(roles);
        users.push_str(list.trim().strip_suffix(']').unwrap());
    }
    format!("{lines}users: [{users}]\n  }}\n")
}

/// Runs a program to its end and returns what it wrote.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
