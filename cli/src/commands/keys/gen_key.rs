//! `wattle keys gen`.

use clap::Args;
use wattle_wascap::KeyKind;

use super::ShownKey;
use crate::{context::Context, error::CliError, keystore, table};

const EXAMPLES: &str = "\
Examples:
  wattle keys gen account                   the account that signs your modules
  wattle keys gen module --name counter     the identity of an actor
  wattle keys gen operator --name acme";

/// Makes a key and stores it in the keys directory, readable by you only.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenArgs {
    /// What it is for.
    #[arg(value_enum)]
    kind: Kind,
    /// Its name; a key that is already there is never replaced.
    #[arg(long, default_value = keystore::DEFAULT_NAME)]
    name: String,
}

/// The kinds that can be made.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A...: signs modules and providers
    Account,
    /// M...: is an actor
    Module,
    /// O...: vouches for accounts
    Operator,
    /// V...: is a provider
    #[value(alias = "service")]
    Provider,
    /// N...: is a host
    #[value(alias = "server")]
    Host,
    /// C...: signs calls between hosts
    Cluster,
    /// U...: is a NATS user
    User,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Account => Self::Account,
            Kind::Module => Self::Module,
            Kind::Operator => Self::Operator,
            Kind::Provider => Self::Provider,
            Kind::Host => Self::Host,
            Kind::Cluster => Self::Cluster,
            Kind::User => Self::User,
        }
    }
}

pub(super) fn run(context: &Context, args: &GenArgs) -> Result<(), CliError> {
    let key = context.keys()?.generate(args.kind.into(), &args.name)?;
    context.output.result(&ShownKey::from(&key), |key| {
        table::pairs(&[
            ("name", key.name.clone()),
            ("public key", key.public_key.clone()),
            ("stored in", key.path.clone()),
        ])
    })?;
    context.output.remark("Keep a copy of that file in a safe place: whoever has it is this key.");
    Ok(())
}
