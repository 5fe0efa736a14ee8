//! `wattle stop`.

mod actor;
mod host;
mod provider;

use clap::Subcommand;
use wattle_types::{
    HostId,
    control::{Declaration, HostInventory},
};

use crate::{
    context::Context,
    control::{Client, fleet},
    error::{CliError, Kind},
};

/// Stops an actor, a provider or a host.
#[derive(Debug, Subcommand)]
pub(crate) enum Stop {
    Actor(actor::StopActorArgs),
    Provider(provider::StopProviderArgs),
    Host(host::StopHostArgs),
}

pub(super) async fn run(context: &Context, noun: Stop) -> Result<(), CliError> {
    match noun {
        Stop::Actor(args) => actor::run(context, args).await,
        Stop::Provider(args) => provider::run(context, args).await,
        Stop::Host(args) => host::run(context, args).await,
    }
}

/// Returns the host where something is to be stopped: the only one that runs it, unless it is declared.
async fn only_host(client: &Client, id: &str, on: &[&HostInventory]) -> Result<Option<HostId>, CliError> {
    let Some(first) = on.first() else { return Ok(None) };
    let host: HostId = first.host_id.parse()?;
    if let Some(declared) = client.declared(&host).await?.into_iter().find(|declared| declared.id == id) {
        return Err(is_declared(&declared));
    }
    if on.len() > 1 {
        let message = format!("{} hosts run it: on which is it to stop?", on.len());
        return Err(CliError::new(Kind::Usage, "host_ambiguous", message)
            .hint(format!("choose with --host: {}", fleet::list(on))));
    }
    Ok(Some(host))
}

/// What is declared would be started again at once.
fn is_declared(declared: &Declaration) -> CliError {
    let Declaration { kind, id, reference, replicas, .. } = declared;
    let message = format!("{kind} {id} is declared to run on {replicas} hosts: stopped, it would be started again");
    let reference = reference.strip_prefix("file://").unwrap_or(reference);
    let of_provider = if kind == "provider" { format!(" --id {id}") } else { String::new() };
    CliError::new(Kind::Refused, "declared", message)
        .hint(format!("end it: wattle scale {kind} {reference}{of_provider} --replicas 0"))
        .hint("or stop it on one host all the same: --host HOST")
}
