//! `wattle link query`.

use clap::Args;
use wattle_types::LinkDefinition;

use crate::{context::Context, control::Known, error::CliError, table::Table};

const EXAMPLES: &str = "\
Examples:
  wattle link query
  wattle link query --actor Counter
  wattle link query --values -o json

Values may hold secrets: they are shown only with --values.";

/// What stands for a value that is not shown.
pub(crate) const HIDDEN: &str = "***";

/// Lists links.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    /// Only those of this actor.
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Show values too.
    #[arg(long)]
    values: bool,
}

pub(crate) async fn run(context: &Context, args: QueryArgs) -> Result<(), CliError> {
    let (client, host) = context.client_and_any_host().await?;
    let mut links = client.links(&host).await?;
    if let Some(wanted) = &args.actor {
        let actor = context.known_actor(&client, wanted).await?;
        links.retain(|link| link.key.actor == actor);
    }
    if !args.values {
        for link in &mut links {
            link.values.values_mut().for_each(|value| HIDDEN.clone_into(value));
        }
    }
    links.sort_by(|left, right| left.key.cmp(&right.key));
    let names = if context.output.is_json() { Known::default() } else { client.named().await? };
    let table = Table::new()
        .column("actor", |link: &LinkDefinition| names.name(&link.key.actor.to_string()).unwrap_or_default().into())
        .column("id", |link| link.key.actor.to_string())
        .column("provider", |link| link.provider.to_string())
        .column("contract", |link| link.key.contract.to_string())
        .column("link name", |link| link.key.link_name.to_string())
        .column("values", |link| {
            let values = link.values.iter().map(|(key, value)| format!("{key}={value}"));
            values.collect::<Vec<_>>().join(" ")
        });
    context.output.list(&links, table, "There are no links. Make one: wattle link put ACTOR PROVIDER CONTRACT")
}
