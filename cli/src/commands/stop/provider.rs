//! `wattle stop provider`.

use clap::Args;
use wattle_types::{ProviderId, control::Command};

use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle stop provider httpserver

Its links stay: actors get an error that says what is missing, until it is started again or another is linked.";

/// Stops a provider after its calls in flight.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopProviderArgs {
    /// The provider's id.
    provider: ProviderId,
}

pub(super) async fn run(context: &Context, args: StopProviderArgs) -> Result<(), CliError> {
    let command = Command::StopProvider { provider: args.provider.clone() };
    let (client, host) = context.client_and_host().await?;
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |_| format!("Stopped provider {}", args.provider))
}
