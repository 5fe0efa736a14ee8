//! `wattle link put`.

use clap::Args;
use serde_json::Value;
use wattle_types::{ContractId, LinkDefinition, LinkKey, LinkName, ProviderId, control::Command};

use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    error::CliError,
};

const EXAMPLES: &str = "\
Examples:
  wattle link put Counter httpserver wasmcloud:httpserver address=127.0.0.1:8080
  wattle link put Counter store wasmcloud:keyvalue url=redis://127.0.0.1:6379
  wattle link put Counter keyvalue-redb wasmcloud:keyvalue --replace @store.json

The provider may be started before or after.";

/// Links an actor to a provider: permission to use it, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PutArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
    /// The provider's id.
    provider: ProviderId,
    /// The contract, spelled as the actor claims it.
    contract: ContractId,
    /// Values for the provider, or @FILE for a JSON object.
    #[arg(value_name = "KEY=VALUE", value_parser = pairs::pair_or_file)]
    values: Vec<Pair>,
    /// Tells apart several links of one actor with the same contract.
    #[arg(long, value_name = "NAME", default_value = LinkName::DEFAULT)]
    link_name: LinkName,
    /// Replace a link to another provider.
    #[arg(long)]
    replace: bool,
}

pub(super) async fn run(context: &Context, args: PutArgs) -> Result<(), CliError> {
    let values = pairs::read(context, args.values)?;
    let (client, host) = context.client_and_host().await?;
    let actor = client.actor(&host, &args.actor).await?;
    let key = LinkKey { actor, contract: args.contract, link_name: args.link_name };
    let link = LinkDefinition { key: key.clone(), provider: args.provider.clone(), values };
    let command = Command::PutLink { link, replace: args.replace };
    let result = client.command(&host, &command, context.steps()).await?;
    if result.get("served").and_then(Value::as_bool) == Some(false) {
        let provider = &args.provider;
        context.output.warn(&format!(
            "provider {provider} is not running; start it: wattle start provider REFERENCE --id {provider}"
        ));
    }
    context.output.result(&result, |_| format!("Linked {} to {} for {}", key.actor, args.provider, key.contract))
}
