//! `wattle update`.

mod actor;
mod provider;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

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
