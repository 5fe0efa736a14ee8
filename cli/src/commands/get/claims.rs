//! `wattle get claims`.

use std::collections::BTreeMap;

use clap::Args;

use crate::{context::Context, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle get claims
  wattle get claims -o json";

/// Lists the claims of what runs in the lattice.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ClaimsArgs {}

pub(super) async fn run(context: &Context, _args: ClaimsArgs) -> Result<(), CliError> {
    let claims = context.client().await?.claims().await?;
    // Two spellings are in use for two of the fields.
    let field = |claims: &BTreeMap<String, String>, names: &[&str]| {
        names.iter().find_map(|name| claims.get(*name)).cloned().unwrap_or_default()
    };
    let table = Table::new()
        .column("name", move |claims: &BTreeMap<String, String>| field(claims, &["name"]))
        .column("subject", move |claims| field(claims, &["sub", "subject"]))
        .column("issuer", move |claims| field(claims, &["iss", "issuer"]))
        .column("rev", move |claims| field(claims, &["rev", "revision"]))
        .column("capabilities", move |claims| field(claims, &["caps"]));
    context.output.list(
        &claims,
        table,
        "Nothing runs here that has claims. Start an actor: wattle start actor MODULE.wasm",
    )
}
