//! `wattle stop provider`.

use clap::Args;
use wattle_types::{ProviderId, control::Command};

use super::only_host;
use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle stop provider httpserver

While running actors are linked to it and no other host runs it, it stops only with --force. Its links stay: \
actors get an error that says what is missing, until it is started again or another is linked. What is declared \
ends when its scale is 0: see wattle scale.";

/// Stops a provider after its calls in flight.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopProviderArgs {
    /// The provider's id; of one that is a key, a unique beginning.
    provider: ProviderId,
    /// Although running actors are linked to it.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: StopProviderArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let provider = context.known_provider(&client, args.provider).await?;
    let command = Command::StopProvider { provider: provider.clone(), force: args.force };
    let host = if let Some(wanted) = &context.connection.host {
        client.host(Some(wanted)).await?
    } else {
        let fleet = client.fleet().await?;
        let on = fleet.running_provider(&provider);
        only_host(&client, provider.as_str(), &on).await?.map_or_else(|| fleet.any(), Ok)?
    };
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |_| format!("Stopped provider {provider}"))
}
