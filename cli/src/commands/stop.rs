//! `wattle stop`.

mod actor;
mod host;
mod provider;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

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
