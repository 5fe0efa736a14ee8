//! `wattle doctor`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio::process::Command;
use wattle_bus::nats_server::{self, NatsVersion};
use wattle_wascap::KeyKind;

use crate::{
    context::Context,
    error::{CliError, Kind},
    table::{self, Layout, Table},
};

const EXAMPLES: &str = "\
Examples:
  wattle doctor
  wattle doctor -o json";

/// Shows what this machine lacks, and how to get it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {}

/// What one check found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    needed_for: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    /// Wattle works without it, in part.
    Optional,
    /// Nothing works without it.
    Missing,
}

pub(super) async fn run(context: &Context, _args: DoctorArgs) -> Result<(), CliError> {
    let (reachable, is_reachable) = nats(context).await;
    let checks = vec![
        server(context, is_reachable).await,
        reachable,
        host(context).await,
        keys(context),
        sandboxes(context),
        wasm_target().await,
        redis(),
    ];
    let is_healthy = checks.iter().all(|check| check.status != Status::Missing);
    context.output.result(&checks, |checks| describe(checks, context.output.layout()))?;
    if is_healthy {
        return Ok(());
    }
    Err(CliError::new(Kind::Unavailable, "machine_incomplete", "something is missing").already_told())
}

fn describe(checks: &[Check], layout: Layout) -> String {
    let status = |check: &Check| match check.status {
        Status::Ok => "ok",
        Status::Optional => "optional",
        Status::Missing => "MISSING",
    };
    let mut text = Table::new()
        .column("status", |check| status(check).to_owned())
        .column("what", |check: &Check| check.name.to_owned())
        .column("needed for", |check| check.needed_for.to_owned())
        .column("found", |check| check.detail.clone())
        .render(checks, layout);
    for check in checks {
        if let Some(remedy) = &check.remedy {
            text.push_str(&format!("\n{}: {}\n", check.name, table::one_line(remedy)));
        }
    }
    text
}

/// A nats-server of our own is not needed when somebody else's is there.
async fn server(context: &Context, is_reachable: bool) -> Check {
    let (name, needed_for) = ("nats-server", "wattle up without --nats-url");
    match (context.find_nats_server)() {
        Ok(program) => {
            let version = nats_server::version(&program).await;
            let (status, version, remedy) = judge(version.as_ref());
            Check { name, needed_for, status, detail: format!("{}, {version}", program.display()), remedy }
        }
        Err(error) => {
            let status = if is_reachable { Status::Optional } else { Status::Missing };
            Check { name, needed_for, status, detail: "not found".into(), remedy: Some(error.remedy()) }
        }
    }
}

/// Returns also whether it answers.
async fn nats(context: &Context) -> (Check, bool) {
    let (name, needed_for) = ("NATS", "every command that talks to a host");
    let nats = context.nats();
    match context.bus(&nats).await {
        Ok(bus) => {
            let (status, version, remedy) = judge(bus.server_version().as_ref());
            bus.drain().await;
            let detail = format!("answers at {}, {version}", nats.url);
            (Check { name, needed_for, status, detail, remedy }, true)
        }
        Err(error) => {
            let remedy = Some("wattle up starts one; or give --nats-url".to_owned());
            (Check { name, needed_for, status: Status::Optional, detail: error.message, remedy }, false)
        }
    }
}

/// Returns how good a server of this version is, what it is, and what to do about it.
fn judge(version: Option<&NatsVersion>) -> (Status, String, Option<String>) {
    let Some(version) = version else { return (Status::Ok, "version unknown".into(), None) };
    let detail = format!("version {version}");
    if version.keeps_cas_in_clusters() {
        return (Status::Ok, detail, None);
    }
    let remedy =
        "for a single server only: hosts refuse a cluster of servers before 2.11 (wattle explain nats_too_old)";
    (Status::Optional, detail, Some(format!("{version} is {remedy}")))
}

async fn host(context: &Context) -> Check {
    let (name, needed_for) = ("host", "running actors");
    let remedy = Some("start one: wattle up --detached".to_owned());
    let hosts = match context.client().await {
        Ok(client) => client.hosts().await,
        Err(error) => Err(error),
    };
    match hosts {
        Ok(hosts) if !hosts.is_empty() => {
            let names: Vec<_> = hosts.into_iter().map(|host| host.friendly_name).collect();
            Check { name, needed_for, status: Status::Ok, detail: names.join(", "), remedy: None }
        }
        _ => Check { name, needed_for, status: Status::Optional, detail: "none answers".into(), remedy },
    }
}

fn keys(context: &Context) -> Check {
    let (name, needed_for) = ("account key", "signing, and trusting what you signed");
    let found = context.keys().and_then(|keys| Ok((keys.public_keys(KeyKind::Account)?, keys)));
    let (status, detail, remedy) = match found {
        Ok((accounts, keys)) if !accounts.is_empty() => {
            let detail = format!("{} in {}", accounts.len(), keys.directory().display());
            match keys.exposed().into_iter().next() {
                None => (Status::Ok, detail, None),
                exposed => (Status::Optional, detail, exposed),
            }
        }
        Ok((_, keys)) => {
            let remedy = "make one: wattle keys gen account".to_owned();
            (Status::Optional, format!("none in {}", keys.directory().display()), Some(remedy))
        }
        Err(error) => (Status::Optional, error.message, error.hints.into_iter().next()),
    };
    Check { name, needed_for, status, detail, remedy }
}

fn sandboxes(context: &Context) -> Check {
    let (name, needed_for) = ("PAGEMAP_SCAN", "running actors fast");
    let (status, detail, remedy) = if context.host.restores_sandboxes() {
        (Status::Ok, "sandboxes are restored after each call", None)
    } else {
        let remedy = "Linux 6.7 or later is faster".to_owned();
        (Status::Optional, "works, but most actors get a new sandbox for each call", Some(remedy))
    };
    Check { name, needed_for, status, detail: detail.into(), remedy }
}

async fn wasm_target() -> Check {
    let (name, needed_for) = ("wasm32 target", "building actors in Rust");
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().await;
    let (detail, remedy) = match sysroot {
        Ok(output) if output.status.success() => {
            let root = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("lib/rustlib");
            let has = |target: &&str| root.join(target).join("lib").is_dir();
            if let Some(target) = ["wasm32-unknown-unknown", "wasm32-wasip1"].iter().find(|target| has(target)) {
                let detail = (*target).to_owned();
                return Check { name, needed_for, status: Status::Ok, detail, remedy: None };
            }
            ("not installed", "rustup target add wasm32-unknown-unknown")
        }
        _ => ("rustc was not found", "install Rust: https://rustup.rs, then: rustup target add wasm32-unknown-unknown"),
    };
    Check { name, needed_for, status: Status::Optional, detail: detail.into(), remedy: Some(remedy.into()) }
}

fn redis() -> Check {
    let (name, needed_for) = ("redis-server", "the keyvalue-redis provider");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.is_file());
    match found {
        Some(program) => {
            Check { name, needed_for, status: Status::Ok, detail: program.display().to_string(), remedy: None }
        }
        None => Check {
            name,
            needed_for,
            status: Status::Optional,
            detail: "not found here; one elsewhere will do".into(),
            remedy: Some(
                "Debian, Ubuntu: apt install redis-server; macOS: brew install redis; or use keyvalue-redb".into(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_2_11_is_for_one_alone() {
        let judged = |text: &str| judge(NatsVersion::parse(text).as_ref());
        let (status, said, remedy) = judged("2.9.10");
        assert_eq!((status, &*said), (Status::Optional, "version 2.9.10"));
        assert!(remedy.is_some_and(|remedy| remedy.contains("a single server only")));
        assert_eq!(judged("2.11.0"), (Status::Ok, "version 2.11.0".into(), None));
        assert_eq!(judged(""), (Status::Ok, "version unknown".into(), None));
    }
}
