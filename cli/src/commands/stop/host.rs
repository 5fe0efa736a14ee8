//! `wattle stop host`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle stop host
  wattle stop host quiet-reed --drain-seconds 10

For a host that `wattle up` started on this machine, `wattle down` also waits for its end.";

/// Stops a host after its calls in flight.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopHostArgs {
    /// The host: its id, a unique beginning of it, or its name [default: the only one].
    #[arg(value_name = "HOST")]
    which: Option<String>,
    /// How long work in flight may take to end.
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,
}

pub(super) async fn run(context: &Context, args: StopHostArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let host = client.host(args.which.as_deref().or(context.connection.host.as_deref())).await?;
    client.stop_host(&host, args.drain_seconds.map(Duration::from_secs)).await?;
    context.output.result(&json!({ "host": host }), |_| format!("Host {host} is stopping"))
}
