//! `wattle claims`.

pub(super) mod inspect;
mod sign;
mod token;

use clap::Subcommand;

use crate::{context::Context, error::CliError, keystore::Obtained};

pub(crate) use inspect::{InspectArgs, date, run as inspect};

/// Signs modules, makes tokens, looks at claims.
#[derive(Debug, Subcommand)]
pub(crate) enum Claims {
    Sign(Box<sign::SignArgs>),
    Inspect(InspectArgs),
    Token(token::TokenArgs),
}

pub(super) fn run(context: &Context, verb: Claims) -> Result<(), CliError> {
    match verb {
        Claims::Sign(args) => sign::run(context, *args),
        Claims::Inspect(args) => inspect(context, &args),
        Claims::Token(args) => token::run(context, args),
    }
}

/// Says so when a key was made on the way.
pub(super) fn tell_if_new(context: &Context, role: &str, obtained: &Obtained) {
    if obtained.is_new {
        let (name, path) = (&obtained.key.name, obtained.key.path.display());
        context.output.remark(&format!("Made the {role} key {name} and stored it in {path}: keep a copy."));
    }
}

/// Returns the last second of validity, `days` from now.
pub(super) fn expires_at(now: u64, days: Option<u32>) -> Option<u64> {
    days.map(|days| now.saturating_add(u64::from(days) * 24 * 3600))
}
