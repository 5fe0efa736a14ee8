//! `wattle get providers`.

use clap::Args;
use serde::Serialize;
use wattle_types::control::ProviderDescription;

use crate::{context::Context, control::Fleet, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle get providers
  wattle get providers -o json";

/// Lists the providers that run, and on which hosts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProvidersArgs {}

/// A provider on one host.
#[derive(Debug, Serialize)]
struct Row {
    host: String,
    host_id: String,
    #[serde(flatten)]
    provider: ProviderDescription,
}

pub(super) async fn run(context: &Context, _args: ProvidersArgs) -> Result<(), CliError> {
    let mut rows = rows(&context.client().await?.fleet().await?);
    rows.sort_by(|left, right| left.provider.id.cmp(&right.provider.id));
    let details = |row: &Row| row.provider.wattle.clone();
    let table = Table::new()
        .column("id", |row: &Row| row.provider.id.clone())
        .column("reference", |row| row.provider.image_ref.clone().unwrap_or_default())
        .column("contracts", move |row| details(row).map(|details| details.contracts.join(" ")).unwrap_or_default())
        .column("host", |row| row.host.clone())
        .column("health", move |row| details(row).and_then(|details| details.unhealthy).unwrap_or_else(|| "ok".into()));
    context.output.list(&rows, table, "No providers run. Start one: wattle start provider KIND")
}

fn rows(fleet: &Fleet) -> Vec<Row> {
    let hosts = fleet.inventories().iter();
    let rows = hosts.flat_map(|host| {
        let (name, id) = (&host.friendly_name, &host.host_id);
        let row = |provider: &ProviderDescription| Row {
            host: name.clone(),
            host_id: id.clone(),
            provider: provider.clone(),
        };
        host.providers.iter().map(row)
    });
    rows.collect()
}
