//! `wattle get hosts`.

use clap::Args;
use serde::Serialize;
use wattle_types::control::{Host, HostInventory};

use crate::{context::Context, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle get hosts
  wattle get hosts --lattice staging -o json";

/// Lists the hosts of the lattice that answer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HostsArgs {}

/// A host, and how much it runs; `None` when it has just gone.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    host: Host,
    actors: Option<usize>,
    providers: Option<usize>,
}

impl Row {
    fn new((host, inventory): (Host, Option<HostInventory>)) -> Self {
        let actors = inventory.as_ref().map(|inventory| inventory.components.len());
        let providers = inventory.as_ref().map(|inventory| inventory.providers.len());
        Self { host, actors, providers }
    }
}

pub(super) async fn run(context: &Context, _args: HostsArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let hosts = client.inventories(client.hosts().await?).await?;
    let rows: Vec<_> = hosts.into_iter().map(Row::new).collect();
    let count = |count: Option<usize>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let table = Table::new()
        .column("name", |row: &Row| row.host.friendly_name.clone())
        .column("id", |row| row.host.id.clone())
        .column("version", |row| row.host.version.clone().unwrap_or_default())
        .column("uptime", |row| uptime(&row.host))
        .column("actors", move |row| count(row.actors))
        .column("providers", move |row| count(row.providers))
        .column("labels", |row| {
            row.host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        });
    let empty = format!("No host answers in lattice {}. Start one: wattle up", client.lattice());
    context.output.list(&rows, table, &empty)
}

fn uptime(host: &Host) -> String {
    host.uptime_human.clone().unwrap_or_else(|| format!("{} s", host.uptime_seconds))
}
