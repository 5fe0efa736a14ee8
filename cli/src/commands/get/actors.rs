//! `wattle get actors`.

use clap::Args;
use serde::Serialize;
use wattle_types::control::ActorDescription;

use crate::{context::Context, control::Fleet, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle get actors
  wattle get actors -o json";

/// Lists the actors that run, and on which hosts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ActorsArgs {}

/// An actor on one host.
#[derive(Debug, Serialize)]
struct Row {
    host: String,
    host_id: String,
    #[serde(flatten)]
    actor: ActorDescription,
}

pub(super) async fn run(context: &Context, _args: ActorsArgs) -> Result<(), CliError> {
    let mut rows = rows(&context.client().await?.fleet().await?);
    rows.sort_by(|left, right| (&left.actor.name, &left.actor.id).cmp(&(&right.actor.name, &right.actor.id)));
    let details = |row: &Row| row.actor.wattle.clone();
    let table = Table::new()
        .column("name", |row: &Row| row.actor.name.clone().unwrap_or_default())
        .column("id", |row| row.actor.id.clone())
        .column("rev", |row| row.actor.revision.to_string())
        .column("version", move |row| details(row).and_then(|details| details.version).unwrap_or_default())
        .column("alias", move |row| details(row).and_then(|details| details.call_alias).unwrap_or_default())
        .column("host", |row| row.host.clone());
    context.output.list(&rows, table, "No actors run. Start one: wattle start actor MODULE.wasm")
}

fn rows(fleet: &Fleet) -> Vec<Row> {
    let hosts = fleet.inventories().iter();
    let rows = hosts.flat_map(|host| {
        let (name, id) = (&host.friendly_name, &host.host_id);
        host.components.iter().map(|actor| Row { host: name.clone(), host_id: id.clone(), actor: actor.clone() })
    });
    rows.collect()
}
