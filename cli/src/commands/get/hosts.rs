//! `wattle get hosts`.

use clap::Args;
use wattle_types::control::Host;

use crate::{context::Context, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle get hosts
  wattle get hosts --lattice staging -o json";

/// Lists the hosts of the lattice that answer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HostsArgs {}

pub(super) async fn run(context: &Context, _args: HostsArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let hosts = client.hosts().await?;
    let table = Table::new()
        .column("name", |host: &Host| host.friendly_name.clone())
        .column("id", |host| host.id.clone())
        .column("version", |host| host.version.clone().unwrap_or_default())
        .column("uptime", |host| host.uptime_human.clone().unwrap_or_else(|| format!("{} s", host.uptime_seconds)))
        .column("labels", |host| {
            host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        });
    let empty = format!("No host answers in lattice {}. Start one: wattle up", client.lattice());
    context.output.list(&hosts, table, &empty)
}
