//! `wattle drain`.

mod host;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

/// Moves work off a host, then stops it.
#[derive(Debug, Subcommand)]
pub(crate) enum Drain {
    Host(host::DrainHostArgs),
}

pub(super) async fn run(context: &Context, noun: Drain) -> Result<(), CliError> {
    match noun {
        Drain::Host(args) => host::run(context, args).await,
    }
}
