//! `wattle get`.

mod claims;
mod declared;
mod hosts;
mod inventory;

use clap::Subcommand;

use super::link::query;
use crate::{context::Context, error::CliError};

/// Shows hosts, what they run, what is declared, links and claims.
#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    Hosts(hosts::HostsArgs),
    Inventory(inventory::InventoryArgs),
    Declared(declared::DeclaredArgs),
    Links(query::QueryArgs),
    Claims(claims::ClaimsArgs),
}

pub(super) async fn run(context: &Context, noun: Get) -> Result<(), CliError> {
    match noun {
        Get::Hosts(args) => hosts::run(context, args).await,
        Get::Inventory(args) => inventory::run(context, args).await,
        Get::Declared(args) => declared::run(context, args).await,
        Get::Links(args) => query::run(context, args).await,
        Get::Claims(args) => claims::run(context, args).await,
    }
}
