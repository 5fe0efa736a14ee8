//! `wattle config delete`.

use clap::Args;
use serde_json::json;

use super::ConfigName;
use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle config delete store";

/// Forgets a configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Its name.
    name: ConfigName,
}

pub(super) async fn run(context: &Context, args: DeleteArgs) -> Result<(), CliError> {
    context.client().await?.delete_config(args.name.as_str()).await?;
    context.output.result(&json!({ "name": args.name.as_str() }), |_| format!("Nothing is kept as {} now", args.name))
}
