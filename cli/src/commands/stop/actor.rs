//! `wattle stop actor`.

use clap::Args;
use wattle_types::control::Command;

use super::only_host;
use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle stop actor Counter
  wattle stop actor MDX3 --host quiet-reed

What is declared ends when its scale is 0: see wattle scale.";

/// Stops an actor after its calls in flight; its links stay.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopActorArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
}

pub(super) async fn run(context: &Context, args: StopActorArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let (host, actor) = if let Some(wanted) = &context.connection.host {
        let host = client.host(Some(wanted)).await?;
        let actor = client.actor(Some(&host), &args.actor).await?;
        (host, actor)
    } else {
        let fleet = client.fleet().await?;
        let actor = fleet.actor(&args.actor)?;
        let host = only_host(&client, &actor.to_string(), &fleet.running_actor(&actor)).await?;
        (host.map_or_else(|| fleet.any(), Ok)?, actor)
    };
    let command = Command::StopActor { actor: actor.to_string() };
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |_| format!("Stopped actor {actor}"))
}
