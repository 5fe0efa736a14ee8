//! `wattle get`.

mod actors;
mod claims;
mod declared;
mod hosts;
mod inventory;
mod providers;

use clap::Subcommand;

use super::{config, link::query};
use crate::{context::Context, error::CliError};

pub(crate) use inventory::{InventoryArgs, run as ps};

/// Shows hosts, what they run, what is declared, links and claims.
#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    Hosts(hosts::HostsArgs),
    Inventory(InventoryArgs),
    Actors(actors::ActorsArgs),
    Providers(providers::ProvidersArgs),
    Declared(declared::DeclaredArgs),
    #[command(alias = "link")]
    Links(query::QueryArgs),
    Claims(claims::ClaimsArgs),
    Config(config::GetArgs),
}

pub(super) async fn run(context: &Context, noun: Get) -> Result<(), CliError> {
    match noun {
        Get::Hosts(args) => hosts::run(context, args).await,
        Get::Inventory(args) => ps(context, args).await,
        Get::Actors(args) => actors::run(context, args).await,
        Get::Providers(args) => providers::run(context, args).await,
        Get::Declared(args) => declared::run(context, args).await,
        Get::Links(args) => query::run(context, args).await,
        Get::Claims(args) => claims::run(context, args).await,
        Get::Config(args) => config::get(context, args).await,
    }
}
