//! `wattle update provider`.

use clap::Args;
use wattle_types::{ProviderId, control::Command};

use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    error::CliError,
    reference,
};

const EXAMPLES: &str = "\
Examples:
  wattle update provider httpserver httpserver
  wattle update provider store keyvalue-redb --config path=/var/lib/store.redb

Its links and listening sockets go over to the new one, calls in flight end on the old one. If the new one does not \
come up, the old one goes on serving.";

/// Replaces a running provider, live.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpdateProviderArgs {
    /// The provider's id.
    provider: ProviderId,
    /// The new one: a built-in kind, a provider archive on the host's machine, or https://...#sha256=HEX.
    reference: String,
    /// New configuration, or @FILE for a JSON object; repeat for more [default: the old one's].
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair_or_file)]
    config: Vec<Pair>,
}

pub(super) async fn run(context: &Context, args: UpdateProviderArgs) -> Result<(), CliError> {
    let config = (!args.config.is_empty()).then(|| pairs::read(context, args.config)).transpose()?;
    let reference = reference::provider(&args.reference, &context.directory)?;
    let command = Command::UpdateProvider { provider: args.provider.clone(), reference, config };
    let (client, host) = context.client_and_host().await?;
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |_| format!("Updated provider {}", args.provider))
}
