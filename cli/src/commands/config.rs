//! `wattle config`: configurations by name, kept by the lattice.

mod delete;
mod get;
mod name;
mod put;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

pub(crate) use get::{GetArgs, run as get};
pub(crate) use name::ConfigName;

/// Keeps configurations by name, for links and providers of the whole lattice.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    Put(put::PutArgs),
    Get(GetArgs),
    #[command(visible_aliases = ["del", "rm"])]
    Delete(delete::DeleteArgs),
}

pub(super) async fn run(context: &Context, verb: Config) -> Result<(), CliError> {
    match verb {
        Config::Put(args) => put::run(context, args).await,
        Config::Get(args) => get(context, args).await,
        Config::Delete(args) => delete::run(context, args).await,
    }
}
