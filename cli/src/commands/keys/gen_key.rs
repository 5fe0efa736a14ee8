//! `wattle keys gen`.

use clap::Args;
use wattle_wascap::KeyKind;

use super::ShownKey;
use crate::{context::Context, error::CliError, keystore, table};

const EXAMPLES: &str = "\
Examples:
  wattle keys gen account                   the account that signs your modules
  wattle keys gen module --name counter     the identity of an actor
  wattle keys gen operator --name acme

Kinds: account (A..., signs modules and providers), module (M..., is an actor), operator (O..., vouches for accounts), \
provider (V..., is a provider), host (N..., is a host), cluster (C..., signs calls between hosts), user (U..., a NATS \
user).";

/// Makes a key and stores it, readable by you only.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenArgs {
    /// What it is for; see below.
    #[arg(value_enum, hide_possible_values = true)]
    kind: Kind,
    /// Its name; a key that is already there is never replaced.
    #[arg(long, default_value = keystore::DEFAULT_NAME)]
    name: String,
}

/// The kinds that can be made.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Signs modules and providers.
    Account,
    /// Is an actor.
    Module,
    /// Vouches for accounts.
    Operator,
    /// Is a provider.
    #[value(alias = "service")]
    Provider,
    /// Is a host.
    #[value(alias = "server")]
    Host,
    /// Signs calls between hosts.
    Cluster,
    /// Is a NATS user.
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
