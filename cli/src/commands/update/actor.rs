//! `wattle update actor`.

use clap::Args;
use serde_json::Value;
use wattle_types::{ActorId, HostId, control::Command};

use super::{canary::CanaryArgs, only_host};
use crate::{
    commands::rollout,
    context::Context,
    control::{Client, Fleet},
    error::CliError,
    reference,
};

const EXAMPLES: &str = "\
Examples:
  wattle update actor Counter counter2_s.wasm
  wattle update actor Counter counter2_s.wasm --canary 10% --watch 30
  wattle update actor MDX3 counter_s.wasm --force     back to a lower revision

New calls go to the new module, calls in flight end on the old one. If the new one is refused, or does not come up, \
the old one goes on serving.

What is declared, or runs on several hosts, is replaced host by host; every host must be able to read the module: a \
path must be there on each of them, and an absolute one need not be on your machine. With --host, it is replaced on \
that host only. The lattice does it: when this command ends early, the rollout goes on. See wattle rollout and wattle \
rollback.";

/// Replaces a running actor's module, live, on all hosts that run it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpdateActorArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
    /// The new signed module: a file on the hosts' machines, or https://...#sha256=HEX.
    reference: String,
    /// Accept a lower revision, and one that does not claim what its links need.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    canary: CanaryArgs,
}

pub(super) async fn run(context: &Context, args: UpdateActorArgs) -> Result<(), CliError> {
    let reference = reference::module(&args.reference, &context.directory)?;
    let canary = args.canary.canary();
    let client = context.client().await?;
    if let (Some(wanted), None) = (&context.connection.host, &canary) {
        let host = client.host(Some(wanted)).await?;
        let actor = client.actor(Some(&host), &args.actor).await?;
        return on_host(context, &client, &host, actor, reference, args.force).await;
    }
    let fleet = client.fleet().await?;
    let actor = fleet.actor(&args.actor)?;
    if canary.is_none()
        && let Some(host) = only_host(&client, &fleet, &actor.to_string(), &fleet.running_actor(&actor)).await?
    {
        return on_host(context, &client, &host, actor, reference, args.force).await;
    }
    let command = Command::StartRollout { target: actor.to_string(), reference, force: args.force, canary };
    roll_out(context, &client, &fleet, actor, command).await
}

async fn on_host(
    context: &Context,
    client: &Client,
    host: &HostId,
    actor: ActorId,
    reference: String,
    force: bool,
) -> Result<(), CliError> {
    let command = Command::UpdateActor { actor: actor.to_string(), reference, force };
    let result = client.command(host, &command, context.steps()).await?;
    context.output.result(&result, |result| {
        let name = result.pointer("/running/name").and_then(Value::as_str).unwrap_or("actor");
        let revision = result.pointer("/running/revision").map(|revision| format!(" to revision {revision}"));
        format!("Updated {name} {actor}{}", revision.unwrap_or_default())
    })
}

async fn roll_out(
    context: &Context,
    client: &Client,
    fleet: &Fleet,
    actor: ActorId,
    command: Command,
) -> Result<(), CliError> {
    let result = rollout::watch(context, client, fleet, &actor.to_string(), command).await?;
    context.output.result(&result, |_| format!("Updated actor {actor} on all hosts that run it"))
}
