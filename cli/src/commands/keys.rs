//! `wattle keys`.

mod gen_key;
mod get;
mod list;

use clap::Subcommand;
use serde::Serialize;

use crate::{context::Context, error::CliError, keystore::StoredKey};

/// Makes and shows keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    Gen(gen_key::GenArgs),
    List(list::ListArgs),
    Get(get::GetArgs),
}

pub(super) fn run(context: &Context, verb: Keys) -> Result<(), CliError> {
    match verb {
        Keys::Gen(args) => gen_key::run(context, &args),
        Keys::List(args) => list::run(context, &args),
        Keys::Get(args) => get::run(context, &args),
    }
}

/// A key as it is shown. Seeds are shown only when asked for.
#[derive(Debug, Serialize)]
struct ShownKey {
    name: String,
    kind: String,
    public_key: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
}

impl From<&StoredKey> for ShownKey {
    fn from(key: &StoredKey) -> Self {
        Self {
            name: key.name.clone(),
            kind: key.pair.kind().to_string(),
            public_key: key.pair.public_key().to_string(),
            path: key.path.display().to_string(),
            seed: None,
        }
    }
}
