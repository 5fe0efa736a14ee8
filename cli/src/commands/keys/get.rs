//! `wattle keys get`.

use clap::Args;

use super::ShownKey;
use crate::{context::Context, error::CliError, table};

const EXAMPLES: &str = "\
Examples:
  wattle keys get default_account
  wattle keys get MDX3            a unique beginning of the public key
  wattle keys get default_account --seed";

/// Shows one key.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// Its name, file, public key, or a unique beginning of that.
    key: String,
    /// Show the seed: whoever sees it can sign as this key.
    #[arg(long)]
    seed: bool,
}

pub(super) fn run(context: &Context, args: &GetArgs) -> Result<(), CliError> {
    let key = context.keys()?.find(&args.key, None)?;
    let seed = args.seed.then(|| key.pair.seed());
    context.output.result(&ShownKey { seed, ..ShownKey::from(&key) }, |key| {
        table::pairs(&[
            ("name", key.name.clone()),
            ("kind", key.kind.clone()),
            ("public key", key.public_key.clone()),
            ("stored in", key.path.clone()),
            ("seed", key.seed.clone().unwrap_or_default()),
        ])
    })
}
