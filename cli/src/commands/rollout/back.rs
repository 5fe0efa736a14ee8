//! `wattle rollout back`, which is `wattle rollback`.

use clap::Args;
use wattle_types::control::Command;

use super::{target, watch};
use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle rollback Counter
  wattle rollout back store

A rollout under way turns round; otherwise all hosts go back to what ran before the last one, at once.";

/// Goes back, on all hosts, to the version before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackArgs {
    /// The actor (its id, a unique beginning of it, its call alias or its name), or the provider's id.
    target: String,
}

pub(crate) async fn run(context: &Context, args: BackArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let fleet = client.fleet().await?;
    let target = target(&fleet, &args.target)?;
    let command = Command::RollBack { target: target.clone() };
    let result = watch(context, &client, &fleet, &target, command).await?;
    context.output.result(&result, |_| format!("{} is back at the version before", args.target))
}
