//! `wattle get declared`.

use std::collections::BTreeMap;

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
    let names = Names::of(context, &client, &declared).await?;
    let table = Table::new()
        .column("kind", |declared: &Declaration| declared.kind.clone())
        .column("name", |declared| names.actors.get(&declared.id).cloned().unwrap_or_default())
        .column("id", |declared| declared.id.clone())
        .column("running", |declared| format!("{}/{}", declared.hosts.len(), declared.replicas))
        .column("where", placed)
        .column("hosts", |declared| names.of_hosts(&declared.hosts.join(" ")))
        .column("why", |declared| names.of_hosts(&declared.why.join("; ")))
        .column("last rollout", |declared| {
            let phase = declared.rollout.as_deref().unwrap_or_default();
            let reason = declared.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            names.of_hosts(&format!("{phase}{reason}"))
        })
        .column("reference", |declared| declared.reference.clone());
    context.output.list(
        &declared,
        table,
        "Nothing is declared. Declare something: wattle scale actor MODULE.wasm --replicas 2",
    )
}

/// Writes constraints and spread as they are given.
fn placed(declared: &Declaration) -> String {
    let pairs = |labels: &BTreeMap<String, String>| {
        labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    };
    let constraints = Some(pairs(&declared.constraints)).filter(|text| !text.is_empty());
    let groups = declared.spread.iter().map(|group| format!("{}:{}", pairs(&group.labels), group.weight));
    constraints.into_iter().chain(groups).collect::<Vec<_>>().join(" ")
}

/// Names for people, of what may not run at all just now. Programs go by ids.
#[derive(Default)]
struct Names {
    actors: BTreeMap<String, String>,
    hosts: Option<Fleet>,
}

impl Names {
    async fn of(context: &Context, client: &Client, declared: &[Declaration]) -> Result<Self, CliError> {
        if context.output.is_json() || declared.is_empty() {
            return Ok(Self::default());
        }
        let claims = client.claims().await?.into_iter();
        let named = claims.filter_map(|mut claims| Some((claims.remove("sub")?, claims.remove("name")?)));
        Ok(Self { actors: named.collect(), hosts: Some(client.fleet().await?) })
    }

    fn of_hosts(&self, text: &str) -> String {
        self.hosts.as_ref().map_or_else(|| text.to_owned(), |fleet| fleet.with_names(text))
    }
}
