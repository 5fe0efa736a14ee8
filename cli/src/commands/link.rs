//! `wattle link`.

mod del;
mod put;
pub(crate) mod query;

use clap::Subcommand;

use crate::{context::Context, error::CliError};

/// Links actors to providers.
#[derive(Debug, Subcommand)]
pub(crate) enum Link {
    Put(put::PutArgs),
    #[command(visible_aliases = ["delete", "rm"])]
    Del(del::DelArgs),
    #[command(visible_aliases = ["list", "ls"])]
    Query(query::QueryArgs),
}

pub(super) async fn run(context: &Context, verb: Link) -> Result<(), CliError> {
    match verb {
        Link::Put(args) => put::run(context, args).await,
        Link::Del(args) => del::run(context, args).await,
        Link::Query(args) => query::run(context, args).await,
    }
}
