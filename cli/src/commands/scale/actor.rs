//! `wattle scale actor`.

use clap::Args;
use wattle_types::control::Command;

use super::args::ScaleArgs;
use crate::{
    context::Context,
    control::Client,
    error::{CliError, Kind},
    reference,
};

const EXAMPLES: &str = "\
Examples:
  wattle scale actor /srv/actors/counter_s.wasm --replicas 3
  wattle scale actor counter_s.wasm --replicas 3 --spread zone=a:2 --spread zone=b
  wattle scale actor Counter --replicas 0

From then on the lattice keeps it so: when a host goes, another one starts what it ran. Every host that may run \
it must be able to read the module: a path must be there on each of them, and an absolute one need not be on your \
machine. What is declared already may be named; but say all of it each time, as what is not given is not kept.";

/// Declares on how many hosts an actor runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScaleActorArgs {
    /// The signed module: a file, https://...#sha256=HEX, or an actor that is declared already.
    reference: String,
    #[command(flatten)]
    scale: ScaleArgs,
    /// Most calls that run at once on each host; more wait.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: Option<u32>,
}

pub(super) async fn run(context: &Context, args: ScaleActorArgs) -> Result<(), CliError> {
    let given = reference::module(&args.reference, &context.directory);
    let client = context.client().await?;
    let reference = match given {
        Err(missing) if missing.code == "file_not_found" => declared(context, &client, &args.reference)
            .await?
            .ok_or_else(|| missing.hint("or name an actor that is declared: wattle get declared"))?,
        given => given?,
    };
    let replicas = args.scale.replicas;
    let (force, timeout_ms) = (args.scale.force, super::timeout_ms(context));
    let (scale, max_in_flight) = (args.scale.scale()?, args.max_in_flight);
    let command = Command::DeclareActor { reference, scale, max_in_flight, force, timeout_ms };
    super::declare(context, &client, &command, "actor", replicas).await
}

/// Returns the reference of an actor that is declared, by its id, call alias or name; it need not run anywhere.
async fn declared(context: &Context, client: &Client, wanted: &str) -> Result<Option<String>, CliError> {
    let host = client.any_host(context.connection.host.as_deref()).await?;
    let declared = client.declared(&host).await?;
    if declared.is_empty() {
        return Ok(None);
    }
    let claims = client.claims().await?;
    let is_named = |id: &str| {
        let own = claims.iter().find(|claims| claims.get("sub").is_some_and(|subject| subject == id));
        let names = ["name", "call_alias"].map(|field| own.and_then(|claims| claims.get(field)));
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(wanted))
    };
    let meant: Vec<_> =
        declared.into_iter().filter(|declared| declared.id == wanted || is_named(&declared.id)).collect();
    if meant.len() > 1 {
        let ids = meant.iter().map(|declared| declared.id.as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("{wanted:?} means {} declared actors", meant.len());
        return Err(CliError::new(Kind::Usage, "actor_ambiguous", message).hint(format!("give the id: {ids}")));
    }
    Ok(meant.into_iter().next().map(|declared| declared.reference))
}
