//! `wattle scale provider`.

use clap::Args;
use wattle_types::{ProviderId, control::Command};

use super::args::ScaleArgs;
use crate::{
    commands::{
        config::ConfigName,
        pairs::{self, Pair},
    },
    context::Context,
    error::CliError,
    reference,
};

const EXAMPLES: &str = "\
Examples:
  wattle scale provider httpserver --replicas 2 --constraint zone=edge
  wattle scale provider keyvalue-redis --id store --replicas 1 --config-name store
  wattle scale provider keyvalue-redis --id store --replicas 0

From then on the lattice keeps it so: when a host goes, another one starts what it ran. Every host that may run \
it must be able to read an archive: a path must be there on each of them, and an absolute one need not be on your \
machine. Say all of it each time: what is not given is not kept.";

/// Declares on how many hosts a provider runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScaleProviderArgs {
    /// A built-in kind, a provider archive, or https://...#sha256=HEX.
    reference: String,
    #[command(flatten)]
    scale: ScaleArgs,
    /// Its identity, which links name [default: the kind, or the archive's key].
    #[arg(long, value_name = "ID")]
    id: Option<ProviderId>,
    /// Configuration for all its links, or @FILE for a JSON object; repeat for more.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair_or_file)]
    config: Vec<Pair>,
    /// A named configuration of the lattice, which --config wins over; repeat for more.
    #[arg(long = "config-name", value_name = "NAME")]
    configs: Vec<ConfigName>,
}

pub(super) async fn run(context: &Context, args: ScaleProviderArgs) -> Result<(), CliError> {
    let replicas = args.scale.replicas;
    let command = Command::DeclareProvider {
        reference: reference::provider(&args.reference, &context.directory)?,
        provider: args.id,
        force: args.scale.force,
        timeout_ms: super::timeout_ms(context),
        scale: args.scale.scale()?,
        config: pairs::read(context, args.config)?,
        configs: args.configs.into_iter().map(ConfigName::into).collect(),
    };
    let client = context.client().await?;
    super::declare(context, &client, &command, "provider", replicas).await
}
