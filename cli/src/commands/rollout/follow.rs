//! `wattle rollout follow`.

use clap::Args;
use wattle_types::control::Command;

use super::{target, watch};
use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle rollout follow Counter
  wattle rollout follow store

Ctrl-C ends the watching, not the rollout. One that has ended tells how.";

/// Shows how a rollout goes on, until it has ended.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FollowArgs {
    /// The actor (its id, a unique beginning of it, its call alias or its name), or the provider's id.
    target: String,
}

pub(super) async fn run(context: &Context, args: FollowArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let fleet = client.fleet().await?;
    let target = target(&fleet, &args.target)?;
    let command = Command::FollowRollout { target: target.clone() };
    let result = watch(context, &client, &fleet, &target, command).await?;
    context.output.result(&result, |_| format!("The rollout of {} is done", args.target))
}
