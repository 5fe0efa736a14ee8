//! `wattle start actor`.

use clap::Args;
use serde_json::Value;
use wattle_types::control::Command;

use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    error::CliError,
    reference,
};

const EXAMPLES: &str = "\
Examples:
  wattle start actor counter_s.wasm
  wattle start actor 'https://example.com/counter.wasm#sha256=HEX' --max-in-flight 64

The host checks the module's claims, compiles it and tries it before it takes calls. It reads a path on its own \
machine: an absolute one need not be on yours.";

/// Starts an actor from a signed module.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StartActorArgs {
    /// The signed module: a file on the host's machine, or https://...#sha256=HEX.
    reference: String,
    /// Most calls that run at once; more wait.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: Option<u32>,
    /// Kept in the inventory; repeat for more.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pairs::pair)]
    annotations: Vec<Pair>,
}

pub(super) async fn run(context: &Context, args: StartActorArgs) -> Result<(), CliError> {
    let command = Command::StartActor {
        reference: reference::module(&args.reference, &context.directory)?,
        max_in_flight: args.max_in_flight,
        annotations: pairs::each_once(args.annotations)?,
        declared: false,
    };
    let (client, host) = context.client_and_host().await?;
    let result = client.command(&host, &command, context.steps()).await?;
    context.output.result(&result, |result| {
        let actor = result.get("actor").and_then(Value::as_str).unwrap_or_default();
        let name = result.pointer("/running/name").and_then(Value::as_str).unwrap_or("actor");
        format!("Started {name} {actor}")
    })
}
