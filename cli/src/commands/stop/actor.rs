//! `wattle stop actor`.

use clap::Args;
use wattle_types::control::Command;

use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle stop actor Counter
  wattle stop actor MDX3";

/// Stops an actor after its calls in flight; its links stay.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopActorArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
}

pub(super) async fn run(context: &Context, args: StopActorArgs) -> Result<(), CliError> {
    let (client, host) = context.client_and_host().await?;
    let actor = client.actor(&host, &args.actor).await?;
    let command = Command::StopActor { actor: actor.to_string() };
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |_| format!("Stopped actor {actor}"))
}
