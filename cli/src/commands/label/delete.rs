//! `wattle label delete`.

use clap::Args;
use serde_json::json;

use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle label delete quiet-reed zone";

/// Takes a label off a host.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// The host: its id, a unique beginning of it, or its name.
    #[arg(value_name = "HOST")]
    which: String,
    /// The label.
    key: String,
}

pub(super) async fn run(context: &Context, args: DeleteArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let host = client.host(Some(&args.which)).await?;
    client.delete_label(&host, &args.key).await?;
    context
        .output
        .result(&json!({ "host": host, "key": args.key }), |_| format!("{} has no label {}", args.which, args.key))
}
