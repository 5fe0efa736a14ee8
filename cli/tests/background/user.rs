//! What the user does, and must see.

#[cfg(target_os = "linux")]
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use std::{path::Path, process::Command};

use serde_json::Value;

use crate::host::{PART, PROCESS};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }
}

/// A home directory; no host outlives it, whatever goes wrong.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _nothing_left = wattle(self.path(), "", &["down", "--force", "--drain-seconds", "1"]);
    }
}

/// Runs everything; panics when a promise is broken.
pub(crate) fn plays() {
    a_host_comes_up_once_and_goes_down_when_asked();
    a_deaf_host_is_ended_by_signal();
    #[cfg(target_os = "linux")]
    what_a_killed_host_leaves_is_ended();
    a_host_that_fails_says_why();
    a_host_without_the_provider_asked_for_is_none();
    a_host_that_never_tells_is_not_left_behind();
    #[cfg(target_os = "linux")]
    {
        a_second_signal_ends_processes_too();
        a_signal_while_nats_starts_leaves_nothing();
    }
}

fn wattle(home: &Path, part: &str, arguments: &[&str]) -> Ran {
    let output = command(home, part, arguments).args(["-o", "json"]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn command(home: &Path, part: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("XDG_") || text.starts_with("WATTLE_") && text != "WATTLE_NATS_SERVER" {
            command.env_remove(&name);
        }
    }
    command.env("HOME", home).env(PART, part);
    command
}

fn a_host_comes_up_once_and_goes_down_when_asked() {
    let home = Home::new();
    let up = ["up", "--detached", "--nats-port", "0"];
    let state = wattle(home.path(), "", &up).json(0);
    assert_ne!(state["pid"], std::process::id());
    // It answers: no --nats-url, as its state tells where.
    let id = state["host_id"].as_str().unwrap();
    assert_eq!(wattle(home.path(), "", &["get", "inventory", id]).json(0)["host_id"], id);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let run_dir = home.path().join(".local/state/wattle/default");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&run_dir), 0o700);
        assert_eq!(["host.json", "host.log", "host.lock"].map(|name| mode(&run_dir.join(name))), [0o600; 3]);
    }

    assert_eq!(wattle(home.path(), "", &up).json(3)["error"]["code"], "already_up");
    assert_eq!(wattle(home.path(), "", &["down"]).json(0)["stopped"], "asked");
    assert_eq!(wattle(home.path(), "", &["down"]).json(3)["error"]["code"], "not_up");
    let url = state["nats_url"].as_str().unwrap();
    assert_eq!(
        wattle(home.path(), "", &["get", "hosts", "--nats-url", url]).json(4)["error"]["code"],
        "bus_disconnected"
    );
}

fn a_deaf_host_is_ended_by_signal() {
    let home = Home::new();
    wattle(home.path(), "deaf", &["up", "--detached", "--nats-port", "0"]).json(0);
    assert_eq!(wattle(home.path(), "", &["down"]).json(0)["stopped"], "terminated");
}

#[cfg(target_os = "linux")]
fn signal(pid: &str, signal: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

/// Kills the host and waits until all it held is let go.
#[cfg(target_os = "linux")]
fn kill(state: &Value) {
    let pid = state["pid"].to_string();
    signal(&pid, "-9");
    // Its first thread may have ended, and not been waited for, while others still hold what is open.
    let is_there = || {
        let runs = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        runs || std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
    };
    while is_there() {
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
fn what_a_killed_host_leaves_is_ended() {
    let home = Home::new();
    let state = wattle(home.path(), "", &["up", "--detached", "--nats-port", "0"]).json(0);
    kill(&state);
    let url = state["nats_url"].as_str().unwrap();
    let port = url.rsplit(':').next().unwrap();
    // Its nats-server has the port still.
    let state = wattle(home.path(), "", &["up", "--detached", "--nats-port", port]).json(0);
    assert!(home.path().join(".local/state/wattle/default/host.old.log").exists());
    kill(&state);
    assert_eq!(wattle(home.path(), "", &["down"]).json(0)["stopped"], "leftover");
    assert_eq!(
        wattle(home.path(), "", &["get", "hosts", "--nats-url", url]).json(4)["error"]["code"],
        "bus_disconnected"
    );
    assert_eq!(wattle(home.path(), "", &["down"]).json(3)["error"]["code"], "not_up");
}

fn a_host_that_fails_says_why() {
    let home = Home::new();
    let failed = wattle(home.path(), "broken", &["up", "--detached", "--nats-port", "0"]).json(4);
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("broken by test"), "{message}");
    assert!(failed["error"]["hints"][0].as_str().unwrap().contains("host.log"), "{failed}");
}

fn a_host_without_the_provider_asked_for_is_none() {
    let home = Home::new();
    let up = ["up", "--detached", "--nats-port", "0", "--provider", "./missing.par.gz"];
    let failed = wattle(home.path(), "", &up).json(4);
    assert!(failed["error"]["message"].as_str().unwrap().contains("missing.par.gz"), "{failed}");
    assert_eq!(wattle(home.path(), "", &["down"]).json(3)["error"]["code"], "not_up");
}

fn a_host_that_never_tells_is_not_left_behind() {
    let home = Home::new();
    let failed = wattle(home.path(), "garbled", &["up", "--detached", "--nats-port", "0"]).json(1);
    assert!(failed["error"]["message"].as_str().unwrap().contains("is not a state"), "{failed}");
    assert_eq!(wattle(home.path(), "", &["down"]).json(3)["error"]["code"], "not_up");
}

/// A host in the foreground, with its remarks to read.
#[cfg(target_os = "linux")]
fn in_foreground(mut command: Command) -> (Child, impl Iterator<Item = String>) {
    let mut up = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let remarks = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
    (up, remarks)
}

/// Reads the id of a process once it is told.
#[cfg(target_os = "linux")]
fn told_process(path: &Path) -> String {
    loop {
        match std::fs::read_to_string(path) {
            Ok(pid) if !pid.is_empty() => return pid.trim().to_owned(),
            _ => std::thread::yield_now(),
        }
    }
}

/// Returns whether a process ends; one that was killed takes a moment.
#[cfg(target_os = "linux")]
fn ends(pid: &str) -> bool {
    let runs = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let begun = Instant::now();
    while runs() && begun.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    !runs()
}

#[cfg(target_os = "linux")]
fn a_second_signal_ends_processes_too() {
    let home = Home::new();
    let (mut up, mut remarks) = in_foreground(command(home.path(), "stubborn", &["up", "--nats-port", "0"]));
    let process = told_process(&home.path().join(PROCESS));
    let pid = up.id().to_string();
    signal(&pid, "-INT");
    assert!(remarks.any(|line| line.contains("Draining")));
    signal(&pid, "-INT");
    assert!(remarks.any(|line| line.contains("ended before all calls were answered")));
    assert_eq!(up.wait().unwrap().code(), Some(1));
    assert!(ends(&process), "the host's process {process} still runs");
}

#[cfg(target_os = "linux")]
fn a_signal_while_nats_starts_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let (program, told) = (home.path().join("nats-server"), home.path().join("nats.pid"));
    std::fs::write(&program, format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", told.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    for with in ["-INT", "-TERM"] {
        let mut up = command(home.path(), "", &["up", "--nats-port", "0"]);
        up.env("WATTLE_NATS_SERVER", &program);
        let (mut up, mut remarks) = in_foreground(up);
        let nats = told_process(&told);
        signal(&up.id().to_string(), with);
        assert!(remarks.any(|line| line.contains("Ended before the host was started")), "{with}");
        assert_eq!(up.wait().unwrap().code(), Some(0), "{with}");
        assert!(ends(&nats), "{with}: nats-server {nats} still runs");
        std::fs::remove_file(&told).unwrap();
    }
}
