//! `wattle update actor`.

use clap::Args;
use serde_json::Value;
use wattle_types::control::Command;

use crate::{context::Context, error::CliError, reference};

const EXAMPLES: &str = "\
Examples:
  wattle update actor Counter counter2_s.wasm
  wattle update actor MDX3 counter_s.wasm --force     back to a lower revision

New calls go to the new module, calls in flight end on the old one. If the new one is refused, or does not come up, \
the old one goes on serving.";

/// Replaces a running actor's module, live.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpdateActorArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
    /// The new signed module: a file on the host's machine, or https://...#sha256=HEX.
    reference: String,
    /// Accept a lower revision.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: UpdateActorArgs) -> Result<(), CliError> {
    let reference = reference::module(&args.reference, &context.directory)?;
    let (client, host) = context.client_and_host().await?;
    let actor = client.actor(&host, &args.actor).await?;
    let command = Command::UpdateActor { actor: actor.to_string(), reference, force: args.force };
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |result| {
        let name = result.pointer("/running/name").and_then(Value::as_str).unwrap_or("actor");
        let revision = result.pointer("/running/revision").map(|revision| format!(" to revision {revision}"));
        format!("Updated {name} {actor}{}", revision.unwrap_or_default())
    })
}
