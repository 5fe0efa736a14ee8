//! `wattle config get`.

use clap::Args;

use super::ConfigName;
use crate::{commands::link::query::HIDDEN, context::Context, error::CliError, table};

const EXAMPLES: &str = "\
Examples:
  wattle config get store
  wattle config get store --values -o json

Values may hold secrets: they are shown only with --values.";

/// Shows a configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// Its name.
    name: ConfigName,
    /// Show values too.
    #[arg(long)]
    values: bool,
}

pub(crate) async fn run(context: &Context, args: GetArgs) -> Result<(), CliError> {
    let mut values = context.client().await?.config(args.name.as_str()).await?;
    if !args.values {
        values.values_mut().for_each(|value| HIDDEN.clone_into(value));
    }
    context.output.result(&values, |values| {
        let pairs: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        table::pairs(&pairs)
    })
}
