//! `wattle start provider`.

use clap::Args;
use serde_json::Value;
use wattle_types::{HostId, ProviderId, control::Command};

use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    control::Client,
    error::CliError,
    reference, spelling,
};

const EXAMPLES: &str = "\
Examples:
  wattle start provider httpserver
  wattle start provider keyvalue-redis --id store --config url=redis://127.0.0.1:6379
  wattle start provider builtin:keyvalue-redb --config @store.json

Built in: httpserver, keyvalue-memory, keyvalue-redb, keyvalue-redis. The host reads a path on its own machine: an \
absolute one need not be on yours.";

/// Starts a capability provider; links that name it begin to work.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StartProviderArgs {
    /// A built-in kind, a provider archive on the host's machine, or https://...#sha256=HEX.
    reference: String,
    /// Its identity, which links name [default: the kind, or the archive's key].
    #[arg(long, value_name = "ID")]
    id: Option<ProviderId>,
    /// Configuration for all its links, or @FILE for a JSON object; repeat for more.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair_or_file)]
    config: Vec<Pair>,
    /// Kept in the inventory; repeat for more.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pairs::pair)]
    annotations: Vec<Pair>,
}

pub(super) async fn run(context: &Context, args: StartProviderArgs) -> Result<(), CliError> {
    let command = Command::StartProvider {
        reference: reference::provider(&args.reference, &context.directory)?,
        provider: args.id,
        config: pairs::read(context, args.config)?,
        configs: Vec::new(),
        annotations: pairs::each_once(args.annotations)?,
        declared: false,
    };
    let (client, host) = context.client_and_host().await?;
    let started = client.command(&host, &command, context.steps()).await;
    let result = started.map_err(|error| with_kind_meant(&args.reference, error))?;
    context.output.result(&result, |result| {
        format!("Started provider {}", result.get("provider").and_then(Value::as_str).unwrap_or_default())
    })
}

/// Says which kind may be meant: the host's answer has all that there are.
fn with_kind_meant(typed: &str, error: CliError) -> CliError {
    if error.code != "provider_unknown" {
        return error;
    }
    let words = error.message.split(|c: char| c.is_whitespace() || c == ',');
    let kinds = words.filter_map(|word| word.strip_prefix("builtin:")).filter(|kind| *kind != typed);
    match spelling::nearest(typed, kinds) {
        Some(kind) => CliError { hints: vec![format!("did you mean {kind}?")], ..error.clone() }.hints(error.hints),
        None => error,
    }
}

/// Starts a provider with its defaults.
pub(crate) async fn start_provider(
    context: &Context,
    client: &Client,
    host: &HostId,
    text: &str,
) -> Result<(), CliError> {
    let command = Command::StartProvider {
        reference: reference::provider(text, &context.directory)?,
        provider: None,
        config: Default::default(),
        configs: Vec::new(),
        annotations: Default::default(),
        declared: false,
    };
    client.command(host, &command, context.steps()).await.map(drop)
}
