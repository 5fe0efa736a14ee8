//! Which crate may use which.
//!
//! Arrows point from programs to leaves. A new edge is the most expensive kind of change: it is added here first.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    process::{cargo, read},
    workspace::Workspace,
};

/// Crates that may use anything in-house. Nothing uses them.
const ROOTS: [&str; 4] = ["lattice-tests", "wattle-guard", "wattle-lattice-sim", "xtask"];

/// What each other crate may use in-house, outside its tests.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("wattle-wascap", &[]),
    ("wattle-types", &["wattle-wascap"]),
    ("wattle-bus", &["wattle-types"]),
    ("wattle-lattice", &["wattle-types", "wattle-wascap", "wattle-bus"]),
    ("wattle-runtime", &["wattle-types"]),
    ("wattle-host", &["wattle-types", "wattle-wascap", "wattle-bus", "wattle-lattice", "wattle-runtime"]),
    ("wattle-provider-sdk", &["wattle-types", "wattle-bus"]),
    ("wattle-provider-testkit", PROVIDER),
    ("wattle-provider-builtin", PROVIDER),
    ("wattle-httpserver-hyper", PROVIDER),
    ("wattle-keyvalue-memory", PROVIDER),
    ("wattle-keyvalue-redb", PROVIDER),
    ("wattle-keyvalue-redis", PROVIDER),
    ("wattle-cli", &["wattle-wascap", "wattle-types", "wattle-bus"]),
    (
        "wattle",
        &[
            "wattle-host",
            "wattle-bus",
            "wattle-cli",
            "wattle-types",
            "wattle-wascap",
            "wattle-provider-sdk",
            "wattle-provider-builtin",
            "wattle-httpserver-hyper",
            "wattle-keyvalue-memory",
            "wattle-keyvalue-redb",
            "wattle-keyvalue-redis",
        ],
    ),
];

const PROVIDER: &[&str] = &["wattle-provider-sdk", "wattle-types", "wattle-bus"];

/// Outside crates that belong to one or two crates of ours alone: whoever else names them crosses a layer.
const OWNED: [(&str, &[&str]); 3] =
    [("wasmtime", &["wattle-runtime"]), ("async-nats", &["wattle-bus"]), ("clap", &["wattle-cli", "xtask"])];

/// Crates that are synchronous: no runtime, no I/O.
const SYNCHRONOUS: [&str; 2] = ["wattle-wascap", "wattle-types"];

/// Returns a complaint for each edge that is not allowed.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let metadata = read(cargo(workspace.root()).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    Ok(complaints(&metadata))
}

fn complaints(metadata: &Value) -> Vec<String> {
    let packages = list(&metadata["packages"]);
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut complaints = Vec::new();
    for package in packages {
        let user = package["name"].as_str().unwrap_or_default();
        for dependency in list(&package["dependencies"]) {
            let used = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"] == "dev";
            if let Some(why) = refuse(user, used, ours.contains(&used), in_tests) {
                complaints.push(format!("{user} must not use {used}: {why}"));
            }
        }
    }
    complaints
}

fn refuse(user: &str, used: &str, ours: bool, in_tests: bool) -> Option<&'static str> {
    if ROOTS.contains(&used) {
        return Some("nothing uses it");
    }
    if in_tests || user == "lattice-tests" {
        return None;
    }
    if !ours {
        return refuse_outsider(user, used);
    }
    let allowed = ALLOWED.iter().find(|(name, _)| *name == user).map(|(_, allowed)| *allowed);
    match allowed {
        _ if ROOTS.contains(&user) => None,
        None => Some("it is not in the table of xtask/src/tidy/edges.rs"),
        Some(allowed) if allowed.contains(&used) => None,
        Some(_) => Some("the table in xtask/src/tidy/edges.rs has no such edge"),
    }
}

fn refuse_outsider(user: &str, used: &str) -> Option<&'static str> {
    let family = |name: &str| {
        used == name || used.strip_prefix(name).is_some_and(|rest| rest.starts_with('-') || rest.starts_with('_'))
    };
    if OWNED.iter().any(|(name, owners)| family(name) && !owners.contains(&user)) {
        return Some("it belongs to another layer");
    }
    (SYNCHRONOUS.contains(&user) && family("tokio")).then_some("this crate is synchronous and free of I/O")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(user: &str, used: &str, kind: Option<&str>) -> usize {
        let names = ALLOWED.iter().map(|(name, _)| *name).chain(ROOTS);
        let packages: Vec<Value> = names
            .map(|name| {
                let uses = if name == user { vec![json!({"name": used, "kind": kind})] } else { vec![] };
                json!({"name": name, "dependencies": uses})
            })
            .collect();
        complaints(&json!({"packages": packages})).len()
    }

    #[test]
    fn arrows_point_down() {
        assert_eq!(check("wattle-host", "wattle-runtime", None), 0);
        assert_eq!(check("wattle-runtime", "wattle-host", None), 1);
        assert_eq!(check("wattle-host", "wattle-keyvalue-redis", None), 1);
        assert_eq!(check("wattle-keyvalue-redis", "wattle-keyvalue-memory", None), 1);
        assert_eq!(check("wattle-keyvalue-redis", "wattle-provider-testkit", Some("dev")), 0);
        assert_eq!(check("wattle-host", "xtask", Some("dev")), 1);
    }

    #[test]
    fn layers_keep_their_outside_crates() {
        assert_eq!(check("wattle-runtime", "wasmtime-wizer", None), 0);
        assert_eq!(check("wattle-cli", "wasmtime", None), 1);
        assert_eq!(check("wattle-host", "async-nats", None), 1);
        assert_eq!(check("wattle-types", "tokio-util", None), 1);
    }
}
