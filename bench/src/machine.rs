//! On what, and with which versions, something was measured.

use std::{collections::BTreeMap, fs, process::Command};

use serde::{Deserialize, Serialize};

/// The machine and the programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// How many of them may be used.
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// One-minute load before the first scenario: what else the machine was doing.
    pub(crate) load_before: f64,
    /// Compiler, servers, and the crates that are measured.
    pub(crate) versions: BTreeMap<String, String>,
}

/// The crates whose versions are told.
const CRATES: [&str; 7] = ["wasmtime", "wapc", "wasmtime-provider", "axum", "hyper", "tokio", "async-nats"];

impl Machine {
    /// Looks at this machine.
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let memory_kib: u64 = memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        let load = read("/proc/loadavg");
        Self {
            processor: field(&cpu, "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
            versions: versions(),
        }
    }
}

fn versions() -> BTreeMap<String, String> {
    let lock = include_str!("../Cargo.lock");
    let mut versions = BTreeMap::new();
    for name in CRATES {
        let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")));
        let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
        versions.insert(name.to_owned(), version.unwrap_or("unknown").to_owned());
    }
    versions.insert("rustc".into(), said_by("rustc", &["--version"]));
    let nats = wattle_bus::nats_server::find().map(|path| said_by(&path.to_string_lossy(), &["--version"]));
    versions.insert("nats-server".into(), nats.unwrap_or_else(|_| "not found".into()));
    versions
}

/// Returns the first line a program says, or nothing.
pub(crate) fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
