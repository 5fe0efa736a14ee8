//! `wattle config put`.

use clap::Args;
use serde_json::json;

use super::ConfigName;
use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    error::CliError,
};

const EXAMPLES: &str = "\
Examples:
  wattle config put store url=redis://127.0.0.1:6379
  wattle config put store @store.json
  wattle link put Counter store wasmcloud:keyvalue --config-name store

What was kept under that name is replaced; links that name it follow at once.";

/// Keeps a configuration under a name.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PutArgs {
    /// Its name.
    name: ConfigName,
    /// Values, or @FILE for a JSON object.
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = pairs::pair_or_file)]
    values: Vec<Pair>,
}

pub(super) async fn run(context: &Context, args: PutArgs) -> Result<(), CliError> {
    let values = pairs::read(context, args.values)?;
    context.client().await?.put_config(args.name.as_str(), &values).await?;
    let keys: Vec<_> = values.keys().collect();
    context.output.result(&json!({ "name": args.name.as_str(), "keys": keys }), |_| {
        format!("Kept {} values as {}", values.len(), args.name)
    })
}
