//! `wattle link put`.

use clap::Args;
use serde_json::Value;
use wattle_types::{
    ContractId, LinkDefinition, LinkKey, LinkName, ProviderId,
    control::{Command, Link},
};

use crate::{
    commands::{
        config::ConfigName,
        contracts,
        pairs::{self, Pair},
    },
    context::Context,
    error::CliError,
};

const EXAMPLES: &str = "\
Examples:
  wattle link put Counter httpserver wasmcloud:httpserver address=127.0.0.1:8080
  wattle link put Counter store wasmcloud:keyvalue url=redis://127.0.0.1:6379
  wattle link put Counter keyvalue-redb wasmcloud:keyvalue --replace @store.json
  wattle link put Counter store wasmcloud:keyvalue --config-name store

The link is every host's. The provider may be started before or after, and run on any host.";

/// Links an actor to a provider: permission to use it, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PutArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
    /// The provider's id; of one that is a key, a unique beginning.
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
    /// Take the values from this configuration of the lattice, and follow it; repeat for more, of which later ones win.
    #[arg(long = "config-name", value_name = "NAME", conflicts_with_all = ["values", "replace"])]
    configs: Vec<ConfigName>,
}

pub(super) async fn run(context: &Context, args: PutArgs) -> Result<(), CliError> {
    if !args.configs.is_empty() {
        return put_named(context, args).await;
    }
    let values = pairs::read(context, args.values)?;
    let (client, host) = context.client_and_any_host().await?;
    let actor = context.known_actor(&client, &args.actor).await?;
    let provider = &context.known_provider(&client, args.provider).await?;
    let key = LinkKey { actor, contract: args.contract, link_name: args.link_name };
    let link = LinkDefinition { key: key.clone(), provider: provider.clone(), values };
    let command = Command::PutLink { link, replace: args.replace };
    let put = client.command(&host, &command, context.steps()).await;
    let mut result = put.map_err(|error| with_ready_command(context, &args.actor, &key, error))?;
    if result.get("served").and_then(Value::as_bool) == Some(false) {
        // The host that answered says what runs on it alone; any other serves the link as well.
        let elsewhere = client.fleet().await.is_ok_and(|fleet| !fleet.running_provider(provider).is_empty());
        if elsewhere && let Some(fields) = result.as_object_mut() {
            fields.insert("served".into(), true.into());
        }
    }
    if result.get("served").and_then(Value::as_bool) == Some(false) {
        context.output.warn(&format!(
            "provider {provider} is not running; start it: wattle start provider REFERENCE --id {provider}"
        ));
    }
    context.output.result(&result, |_| format!("Linked {} to {provider} for {}", args.actor, key.contract))
}

/// Where the link is there already, says how to replace it; where the contract is not claimed, which one may be meant.
fn with_ready_command(context: &Context, actor: &str, key: &LinkKey, error: CliError) -> CliError {
    match error.code.as_str() {
        "link_conflict" => CliError { hints: Vec::new(), ..error }
            .hint(format!("replace it: {} --replace", context.typed()))
            .hint(format!("see it: wattle link query --actor {actor}"))
            .hint("or keep both, under different names: --link-name NAME"),
        "capability_not_claimed" | "contract_not_served" => match contracts::nearest(key.contract.as_str()) {
            Some(meant) => {
                CliError { hints: vec![format!("did you mean {meant}?")], ..error.clone() }.hints(error.hints)
            }
            None => error,
        },
        _ => error,
    }
}

/// Names of configurations are what the control interface of wasmCloud has; our own verb carries values.
async fn put_named(context: &Context, args: PutArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let actor = context.known_actor(&client, &args.actor).await?;
    let provider = context.known_provider(&client, args.provider).await?;
    let Some((namespace, package)) = args.contract.as_str().split_once(':') else {
        return Err(CliError::usage(format!("contract {} has no namespace, which --config-name needs", args.contract))
            .hint("give the values themselves: KEY=VALUE or @FILE"));
    };
    let link = Link {
        source_id: actor.to_string(),
        target: provider.to_string(),
        name: args.link_name.to_string(),
        wit_namespace: namespace.to_owned(),
        wit_package: package.to_owned(),
        interfaces: vec![package.to_owned()],
        source_config: Vec::new(),
        target_config: args.configs.into_iter().map(ConfigName::into).collect(),
    };
    client.put_named_link(&link).await?;
    let configs = link.target_config.join(", ");
    context
        .output
        .result(&link, |_| format!("Linked {} to {provider} for {}, as {configs} says", args.actor, args.contract))
}
