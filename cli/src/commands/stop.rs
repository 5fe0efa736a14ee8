//! `wattle stop`.

mod actor;
mod host;
mod provider;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

/// Stop an actor, a provider or a host.
#[derive(Debug, Subcommand)]
pub(crate) enum Stop {
    /// Stop an actor after its calls in flight.
    Actor(actor::StopActorArgs),
    /// Stop a provider after its calls in flight. Its links stay.
    Provider(provider::StopProviderArgs),
    /// Stop a host after its calls in flight.
    Host(host::StopHostArgs),
}

pub(super) async fn run(context: &Context, noun: Stop) -> Result<(), CliError> {
    match noun {
        Stop::Actor(args) => actor::run(context, args).await,
        Stop::Provider(args) => provider::run(context, args).await,
        Stop::Host(args) => host::run(context, args).await,
    }
}
