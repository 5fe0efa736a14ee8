//! `wattle label put`.

use clap::Args;
use serde_json::json;

use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    error::CliError,
};

const EXAMPLES: &str = "\
Examples:
  wattle label put quiet-reed zone=a
  wattle label put NAB2 zone=a disk=ssd

The host forgets them when it ends: those of `wattle up --label` it has from the start. What is spread by labels \
moves.";

/// Puts labels on a host.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PutArgs {
    /// The host: its id, a unique beginning of it, or its name.
    #[arg(value_name = "HOST")]
    which: String,
    /// The labels.
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = pairs::pair)]
    labels: Vec<Pair>,
}

pub(super) async fn run(context: &Context, args: PutArgs) -> Result<(), CliError> {
    let labels = pairs::each_once(args.labels)?;
    let client = context.client().await?;
    let host = client.host(Some(&args.which)).await?;
    for (key, value) in &labels {
        client.put_label(&host, key, value).await?;
    }
    context.output.result(&json!({ "host": host, "labels": labels }), |_| format!("Labelled {}", args.which))
}
