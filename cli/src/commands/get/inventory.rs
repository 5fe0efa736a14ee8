//! `wattle get inventory`.

use clap::Args;
use wattle_types::control::{ActorDescription, HostInventory, ProviderDescription};

use crate::{
    context::Context,
    error::CliError,
    table::{self, Layout, Table},
};

const EXAMPLES: &str = "\
Examples:
  wattle get inventory
  wattle get inventory quiet-reed -o json

In JSON, one host is an object, and several are a list of them.";

/// Shows what the hosts run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InventoryArgs {
    /// The host: its id, a unique beginning of it, or its name [default: all].
    #[arg(value_name = "HOST")]
    which: Option<String>,
}

pub(crate) async fn run(context: &Context, args: InventoryArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let layout = context.output.layout();
    if let Some(wanted) = args.which.as_deref().or(context.connection.host.as_deref()) {
        let inventory = client.inventory(&client.host(Some(wanted)).await?).await?;
        return context.output.result(&inventory, |inventory| describe(inventory, layout));
    }
    match client.fleet().await?.inventories() {
        [only] => context.output.result(only, |only| describe(only, layout)),
        several => context.output.result(&several, |several| {
            several.iter().map(|host| describe(host, layout)).collect::<Vec<_>>().join("\n")
        }),
    }
}

fn describe(inventory: &HostInventory, layout: Layout) -> String {
    let labels = inventory.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let head = table::pairs(&[
        ("host", layout.ids(&format!("{} ({})", inventory.friendly_name, inventory.host_id))),
        ("version", inventory.version.clone()),
        ("uptime", inventory.uptime_human.clone()),
        ("labels", labels.join(" ")),
    ]);
    format!("{head}\n{}\n{}", actors(&inventory.components, layout), providers(&inventory.providers, layout))
}

fn actors(actors: &[ActorDescription], layout: Layout) -> String {
    if actors.is_empty() {
        return "No actors run here. Start one: wattle start actor MODULE.wasm\n".into();
    }
    let details = |actor: &ActorDescription| actor.wattle.clone();
    Table::new()
        .column("actor", |actor: &ActorDescription| actor.name.clone().unwrap_or_default())
        .column("id", |actor| actor.id.clone())
        .column("rev", |actor| actor.revision.to_string())
        .column("version", move |actor| {
            let Some(details) = details(actor) else { return String::new() };
            let lapsed = details.lapsed.map(|_| "(claims lapsed)".to_owned());
            details.version.into_iter().chain(lapsed).collect::<Vec<_>>().join(" ")
        })
        .column("alias", move |actor| details(actor).and_then(|details| details.call_alias).unwrap_or_default())
        .column("generation", move |actor| {
            details(actor).map(|details| details.generation.to_string()).unwrap_or_default()
        })
        .column("in flight", move |actor| {
            let in_flight = details(actor).map(|details| details.in_flight.to_string()).unwrap_or_default();
            format!("{in_flight}/{}", actor.max_instances)
        })
        .render(actors, layout)
}

fn providers(providers: &[ProviderDescription], layout: Layout) -> String {
    if providers.is_empty() {
        return "No providers run here. Start one: wattle start provider KIND\n".into();
    }
    let details = |provider: &ProviderDescription| provider.wattle.clone();
    Table::new()
        .column("provider", |provider: &ProviderDescription| provider.id.clone())
        .column("reference", |provider| provider.image_ref.clone().unwrap_or_default())
        .column("contracts", move |provider| {
            details(provider).map(|details| details.contracts.join(" ")).unwrap_or_default()
        })
        .column("links", move |provider| details(provider).map(|details| details.links.to_string()).unwrap_or_default())
        .column("generation", move |provider| {
            details(provider).map(|details| details.generation.to_string()).unwrap_or_default()
        })
        .column("health", move |provider| match details(provider).and_then(|details| details.unhealthy) {
            Some(why) => why,
            None => "ok".into(),
        })
        .render(providers, layout)
}
