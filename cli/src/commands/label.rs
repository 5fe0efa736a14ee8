//! `wattle label`.

mod delete;
mod put;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

/// Changes what a host says of itself, by which the lattice chooses hosts.
#[derive(Debug, Subcommand)]
pub(crate) enum Label {
    Put(put::PutArgs),
    #[command(visible_aliases = ["del", "rm"])]
    Delete(delete::DeleteArgs),
}

pub(super) async fn run(context: &Context, verb: Label) -> Result<(), CliError> {
    match verb {
        Label::Put(args) => put::run(context, args).await,
        Label::Delete(args) => delete::run(context, args).await,
    }
}
