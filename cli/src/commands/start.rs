//! `wattle start`.

mod actor;
mod provider;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

pub(crate) use provider::start_provider;

/// Starts an actor or a provider.
#[derive(Debug, Subcommand)]
pub(crate) enum Start {
    Actor(actor::StartActorArgs),
    Provider(provider::StartProviderArgs),
}

pub(super) async fn run(context: &Context, noun: Start) -> Result<(), CliError> {
    match noun {
        Start::Actor(args) => actor::run(context, args).await,
        Start::Provider(args) => provider::run(context, args).await,
    }
}
