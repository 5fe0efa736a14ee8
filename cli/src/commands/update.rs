//! `wattle update`.

mod actor;
mod canary;
mod provider;

use clap::Subcommand;
use wattle_types::{HostId, control::HostInventory};

use crate::{
    context::Context,
    control::{Client, Fleet},
    error::CliError,
};

/// Replaces a running actor or provider, live.
#[derive(Debug, Subcommand)]
pub(crate) enum Update {
    Actor(actor::UpdateActorArgs),
    Provider(provider::UpdateProviderArgs),
}

pub(super) async fn run(context: &Context, noun: Update) -> Result<(), CliError> {
    match noun {
        Update::Actor(args) => actor::run(context, args).await,
        Update::Provider(args) => provider::run(context, args).await,
    }
}

/// Returns the one host where something is to be replaced, or any that can say that it runs nowhere; none when it is
/// the lattice that must do it, because it runs on several hosts or is declared.
async fn only_host(
    client: &Client,
    fleet: &Fleet,
    id: &str,
    on: &[&HostInventory],
) -> Result<Option<HostId>, CliError> {
    let host = match on {
        [] => fleet.any()?,
        [only] => only.host_id.parse()?,
        _ => return Ok(None),
    };
    let is_declared = client.declared(&host).await?.iter().any(|declared| declared.id == id);
    Ok((!is_declared).then_some(host))
}
