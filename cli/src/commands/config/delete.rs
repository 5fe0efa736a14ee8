//! `wattle config delete`.

use clap::Args;
use serde_json::json;
use wattle_types::control::Command;

use super::ConfigName;
use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle config delete store

What links or declared providers use is deleted only with --force: those links then end until it is there again.";

/// Forgets a configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Its name.
    name: ConfigName,
    /// Although links or declared providers use it.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: DeleteArgs) -> Result<(), CliError> {
    let (client, host) = context.client_and_any_host().await?;
    let command = Command::DeleteConfig { name: args.name.as_str().to_owned(), force: args.force };
    client.command(&host, &command, context.steps()).await?;
    context.output.result(&json!({ "name": args.name.as_str() }), |_| format!("Nothing is kept as {} now", args.name))
}
