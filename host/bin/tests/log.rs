//! Real hosts whose log cannot be written, or is not read: they serve and end as if it were.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Their lines are more than a pipe holds: 64 KiB.
const REQUESTS: usize = 1000;

/// A host that serves HTTP, and the folder it lives in.
struct Served {
    host: Child,
    folder: TempDir,
    http: SocketAddr,
}

impl Served {
    fn by_host_with(stderr: Stdio) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trust = std::fs::read_to_string(actors().join("issuer.pub")).unwrap();
        let mut up = wattle(folder.path());
        up.args(["up", "--trust", trust.trim(), "--nats-port", &free_port().to_string(), "--cache-dir"]);
        let host = up.arg(folder.path().join("cache")).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let served = Self { host, folder, http: SocketAddr::from(([127, 0, 0, 1], free_port())) };
        let begun = Instant::now();
        while !served.runs(&["start", "provider", "builtin:httpserver", "--id", "web"]) {
            assert!(begun.elapsed() < PATIENCE, "the host does not come up");
        }
        let hello = actors().join("hello.wasm").display().to_string();
        assert!(served.runs(&["start", "actor", &hello]));
        let address = format!("address={}", served.http);
        assert!(served.runs(&["link", "put", "hello", "web", "wasmcloud:httpserver", &address]));
        served
    }

    fn runs(&self, arguments: &[&str]) -> bool {
        let quiet = wattle(self.folder.path()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        quiet.unwrap().success()
    }

    /// Asks often, and returns how many answers were 200.
    fn answers(&self) -> usize {
        (0..REQUESTS).filter(|_| self.answer().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 "))).count()
    }

    fn answer(&self) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// Ends the host by signal and returns its exit code.
    fn ends(&mut self) -> Option<i32> {
        let process = rustix::process::Pid::from_child(&self.host);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.host.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the host does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Only of a test that failed is there anything left, and a nats-server with it.
        let _ended = self.host.kill();
        let _waited = self.host.wait();
        self.runs(&["down", "--force"]);
    }
}

fn actors() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/actors");
    std::env::var_os("WATTLE_ACTORS_DIR").map_or(checkout, PathBuf::from)
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn wattle(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wattle"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("XDG_") || text.starts_with("WATTLE_") && text != "WATTLE_NATS_SERVER" {
            command.env_remove(&name);
        }
    }
    command.env("HOME", folder).env("WATTLE_RUN_DIR", folder.join("run")).env("WATTLE_KEYS_DIR", folder.join("keys"));
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_log_whose_reader_is_gone_fails_no_request() {
    let (read, write) = std::io::pipe().unwrap();
    let mut served = Served::by_host_with(write.into());
    drop(read);
    assert_eq!(served.answers(), REQUESTS);
    assert_eq!(served.ends(), Some(0));
}

#[test]
fn a_log_on_a_full_disk_fails_no_request() {
    let mut served = Served::by_host_with(OpenOptions::new().write(true).open("/dev/full").unwrap().into());
    assert_eq!(served.answers(), REQUESTS);
    assert_eq!(served.ends(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_request() {
    let (read, write) = std::io::pipe().unwrap();
    let mut served = Served::by_host_with(write.into());
    assert_eq!(served.answers(), REQUESTS);
    assert_eq!(served.ends(), Some(0));
    drop(read);
}
