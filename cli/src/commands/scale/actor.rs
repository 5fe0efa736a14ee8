//! `wattle scale actor`.

use clap::Args;
use wattle_types::control::Command;

use super::args::ScaleArgs;
use crate::{context::Context, control::Client, error::CliError, reference};

const EXAMPLES: &str = "\
Examples:
  wattle scale actor /srv/actors/counter_s.wasm --replicas 3
  wattle scale actor 'https://example.com/counter.wasm#sha256=HEX' --replicas 3 --spread zone=a:2 --spread zone=b:1
  wattle scale actor Counter --replicas 0

From then on the lattice keeps it so: when a host goes, another one starts what it ran. Every host that may run it must \
be able to read the module: a path must be there on each of them. What is declared already may be named; but say all \
of it each time, as what is not given is not kept.";

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
        Err(missing) if missing.code == "file_not_found" => {
            declared(context, &client, &args.reference).await?.ok_or(missing)?
        }
        given => given?,
    };
    let replicas = args.scale.replicas;
    let command = Command::DeclareActor { reference, scale: args.scale.scale(), max_in_flight: args.max_in_flight };
    super::declare(context, &client, &command, "actor", replicas).await
}

/// Returns the reference of an actor that is declared.
async fn declared(context: &Context, client: &Client, wanted: &str) -> Result<Option<String>, CliError> {
    let host = client.any_host(context.connection.host.as_deref()).await?;
    let declared = client.declared(&host).await?;
    if declared.is_empty() {
        return Ok(None);
    }
    let Ok(actor) = client.actor(None, wanted).await else { return Ok(None) };
    let id = actor.to_string();
    Ok(declared.into_iter().find(|declared| declared.id == id).map(|declared| declared.reference))
}
