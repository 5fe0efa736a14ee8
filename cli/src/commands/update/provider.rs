//! `wattle update provider`.

use std::collections::BTreeMap;

use clap::Args;
use wattle_types::{HostId, ProviderId, control::Command};

use super::only_host;
use crate::{
    commands::{
        pairs::{self, Pair},
        rollout,
    },
    context::Context,
    control::Client,
    error::CliError,
    reference,
};

const EXAMPLES: &str = "\
Examples:
  wattle update provider httpserver httpserver
  wattle update provider store keyvalue-redb --config path=/var/lib/store.redb
  wattle update provider VDX3 /srv/kv.par.gz --force     back to a lower revision

Its links and listening sockets go over to the new one, calls in flight end on the old one. If the new one does not \
come up, the old one goes on serving.

What is declared, or runs on several hosts, is replaced host by host; an archive's path must be there on each of \
them, and an absolute one need not be on your machine. With --host, it is replaced on that host only. The lattice \
does it: when this command ends early, the rollout goes on. See wattle rollout and wattle rollback.";

/// Replaces a running provider, live, on all hosts that run it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpdateProviderArgs {
    /// The provider's id; of one that is a key, a unique beginning.
    provider: ProviderId,
    /// The new one: a built-in kind, a provider archive on the hosts' machines, or https://...#sha256=HEX.
    reference: String,
    /// New configuration, or @FILE for a JSON object; repeat for more [default: the old one's].
    #[arg(long, value_name = "KEY=VALUE", value_parser = pairs::pair_or_file)]
    config: Vec<Pair>,
    /// Accept an archive of a lower revision, and one that does not serve what it is linked for.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: UpdateProviderArgs) -> Result<(), CliError> {
    let config = (!args.config.is_empty()).then(|| pairs::read(context, args.config)).transpose()?;
    let reference = reference::provider(&args.reference, &context.directory)?;
    let client = context.client().await?;
    let provider = context.known_provider(&client, args.provider).await?;
    if let Some(wanted) = &context.connection.host {
        let host = client.host(Some(wanted)).await?;
        return on_host(context, &client, &host, (provider, args.force), reference, config).await;
    }
    let fleet = client.fleet().await?;
    let on = fleet.running_provider(&provider);
    if let Some(host) = only_host(&client, &fleet, provider.as_str(), &on).await? {
        return on_host(context, &client, &host, (provider, args.force), reference, config).await;
    }
    if config.is_some() {
        return Err(CliError::usage(format!("provider {provider} is replaced host by host, with its configuration"))
            .hint("give a new configuration to one host: --host HOST")
            .hint("or declare it anew: wattle scale provider REFERENCE --config KEY=VALUE --replicas N"));
    }
    let target = provider.to_string();
    let command = Command::StartRollout { target: target.clone(), reference, force: args.force, canary: None };
    let result = rollout::watch(context, &client, &fleet, &target, command).await?;
    context.output.result(&result, |_| format!("Updated provider {provider} on all hosts that run it"))
}

async fn on_host(
    context: &Context,
    client: &Client,
    host: &HostId,
    (provider, force): (ProviderId, bool),
    reference: String,
    config: Option<BTreeMap<String, String>>,
) -> Result<(), CliError> {
    let command = Command::UpdateProvider { provider: provider.clone(), reference, config, force };
    let result = client.command(host, &command, context.steps()).await?;
    context.output.result(&result, |_| format!("Updated provider {provider}"))
}
