//! `wattle drain host`.

use std::time::Duration;

use clap::Args;
use wattle_types::control::Command;

use crate::{commands::lasting, context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle drain host quiet-reed
  wattle drain host NAB2 --timeout 120

What is declared is started on other hosts first, so that no call finds nobody. What was started by hand on this host \
ends with it. --timeout bounds the moving [default: 60].";

/// Longest that moving may take when nobody says: the host's own bound.
const MOVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Moves what is declared to other hosts, then stops this one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DrainHostArgs {
    /// The host: its id, a unique beginning of it, or its name.
    #[arg(value_name = "HOST")]
    which: String,
}

pub(super) async fn run(context: &Context, args: DrainHostArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let host = client.host_that_answers(&args.which).await?;
    let timeout = context.connection.timeout.map(Duration::from_secs);
    let timeout_ms = timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let client = client.and_wait(timeout.unwrap_or(MOVE_TIMEOUT));
    let command = Command::DrainHost { timeout_ms };
    let hints = ["see what runs where: wattle get inventory".to_owned(), "it cannot be called back".to_owned()];
    let work = client.command(&host, &command, context.steps());
    let result = lasting::wait(context, "draining", &hints, work).await?;
    context.output.result(&result, |_| format!("Host {} is drained and stops", args.which))
}
