//! `wattle get declared`.

use clap::Args;
use wattle_types::control::Declaration;

use crate::{
    context::Context,
    control::{Client, Fleet},
    error::CliError,
    table::Table,
};

const EXAMPLES: &str = "\
Examples:
  wattle get declared
  wattle get declared -o json";

/// Lists what is declared, where it runs, and how its last rollout stands.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeclaredArgs {}

pub(super) async fn run(context: &Context, _args: DeclaredArgs) -> Result<(), CliError> {
    let (client, host) = context.client_and_any_host().await?;
    let declared = client.declared(&host).await?;
    let fleet = names(context, &client, &declared).await?;
    let table = Table::new()
        .column("kind", |declared: &Declaration| declared.kind.clone())
        .column("name", |declared| {
            let name = declared.id.parse().ok().and_then(|actor| fleet.as_ref()?.actor_name(&actor));
            name.unwrap_or_default().to_owned()
        })
        .column("id", |declared| declared.id.clone())
        .column("running", |declared| format!("{}/{}", declared.hosts.len(), declared.replicas))
        .column("hosts", |declared| {
            let hosts = declared.hosts.join(" ");
            fleet.as_ref().map_or_else(|| hosts.clone(), |fleet| fleet.with_names(&hosts))
        })
        .column("last rollout", |declared| {
            let phase = declared.rollout.as_deref().unwrap_or_default();
            let reason = declared.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let rollout = format!("{phase}{reason}");
            fleet.as_ref().map_or_else(|| rollout.clone(), |fleet| fleet.with_names(&rollout))
        })
        .column("reference", |declared| declared.reference.clone());
    context.output.list(
        &declared,
        table,
        "Nothing is declared. Declare something: wattle scale actor MODULE.wasm --replicas 2",
    )
}

/// Returns what the hosts tell, for the names in a table; programs go by ids.
async fn names(context: &Context, client: &Client, declared: &[Declaration]) -> Result<Option<Fleet>, CliError> {
    if context.output.is_json() || declared.is_empty() {
        return Ok(None);
    }
    client.fleet().await.map(Some)
}
