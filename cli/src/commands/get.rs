//! `wattle get`.

mod claims;
mod hosts;
mod inventory;

use clap::Subcommand;

use super::link::query;
use crate::{context::Context, error::CliError};

/// Show hosts, what they run, links and claims.
#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    /// List the hosts that answer.
    Hosts(hosts::HostsArgs),
    /// Show what a host runs.
    Inventory(inventory::InventoryArgs),
    /// List links.
    Links(query::QueryArgs),
    /// List the claims of what runs.
    Claims(claims::ClaimsArgs),
}

pub(super) async fn run(context: &Context, noun: Get) -> Result<(), CliError> {
    match noun {
        Get::Hosts(args) => hosts::run(context, args).await,
        Get::Inventory(args) => inventory::run(context, args).await,
        Get::Links(args) => query::run(context, args).await,
        Get::Claims(args) => claims::run(context, args).await,
    }
}
