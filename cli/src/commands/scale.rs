//! `wattle scale`: declaring what runs on how many hosts.

mod actor;
mod args;
mod provider;

use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use wattle_types::control::Command;

use super::lasting;
use crate::{context::Context, control::Client, error::CliError};

/// Longest that a host waits for what is declared to run: until then it may have nothing to tell.
const SCALE_TIMEOUT: Duration = Duration::from_secs(60);

/// Declares on how many hosts an actor or a provider runs, whatever becomes of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Scale {
    Actor(actor::ScaleActorArgs),
    Provider(provider::ScaleProviderArgs),
}

pub(super) async fn run(context: &Context, noun: Scale) -> Result<(), CliError> {
    match noun {
        Scale::Actor(args) => actor::run(context, args).await,
        Scale::Provider(args) => provider::run(context, args).await,
    }
}

/// Names the hosts that the error names by their ids.
async fn with_names(client: &Client, error: CliError) -> CliError {
    match client.fleet().await {
        Ok(fleet) => CliError { message: fleet.with_names(&error.message), ..error },
        Err(_) => error,
    }
}

/// How long the host may wait until it is so, if somebody said.
fn timeout(context: &Context) -> Option<Duration> {
    context.connection.timeout.map(Duration::from_secs)
}

fn timeout_ms(context: &Context) -> Option<u64> {
    timeout(context).map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX))
}

/// Sends a declaration to any host, and waits until it holds. `key` is where the result has the id.
async fn declare(
    context: &Context,
    client: &Client,
    command: &Command,
    key: &str,
    replicas: u32,
) -> Result<(), CliError> {
    let host = client.any_host(context.connection.host.as_deref()).await?;
    let client = client.and_wait(timeout(context).unwrap_or(SCALE_TIMEOUT));
    let work = client.command(&host, command, context.steps());
    let hints = ["see it: wattle get declared".to_owned(), "end it: the same command with --replicas 0".to_owned()];
    let result = match lasting::wait(context, "scaling", &hints, work).await {
        Err(error) if error.code == "not_scaled" => return Err(with_names(&client, error).await),
        result => result?,
    };
    context.output.result(&result, |result| {
        let id = result.get(key).and_then(Value::as_str).unwrap_or_default();
        match replicas {
            0 => format!("The {key} {id} is declared no more"),
            1 => format!("The {key} {id} runs on 1 host"),
            hosts => format!("The {key} {id} runs on {hosts} hosts"),
        }
    })
}
