//! `wattle keys list`.

use clap::Args;

use super::ShownKey;
use crate::{context::Context, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle keys list
  wattle keys list -o json";

/// Lists the keys you have.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {}

pub(super) fn run(context: &Context, _args: &ListArgs) -> Result<(), CliError> {
    let keys = context.keys()?;
    keys.warn_of_faults(&context.output)?;
    let keys: Vec<ShownKey> = keys.list()?.iter().map(ShownKey::from).collect();
    let table = Table::new()
        .column("name", |key: &ShownKey| key.name.clone())
        .column("kind", |key| key.kind.clone())
        .whole_column("public key", |key| key.public_key.clone());
    context.output.list(&keys, table, "There are no keys yet. Make one: wattle keys gen account")
}
